//! `medhub-local env`: prints the running stack's addresses for a shell.

use std::process::ExitCode;

use clap::Args;

use super::FolderOptions;
use crate::stack_state::StackState;

/// Qdrant's clients use REST for a URL unless they are configured otherwise.
const QDRANT_NOTE: &str =
    "QDRANT_URL is gRPC only; in Python: QdrantClient(host=HOST, grpc_port=PORT, prefer_grpc=True)";

/// Use it as `eval "$(medhub-local env)"`.
#[derive(Debug, Args)]
pub(super) struct EnvCommand {}

impl EnvCommand {
    #[expect(clippy::unused_self, reason = "all commands have the same signature")]
    pub(super) fn run(&self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        for (variable, value) in StackState::read_running(&folders.data_folder()?)?.variables {
            println!("export {variable}={}", quote_for_shell(&value));
        }
        // Last: a shell that joins the lines into one ignores everything after the `#`.
        println!("# {QDRANT_NOTE}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Quotes a value for a POSIX shell.
fn quote_for_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_quote_in_a_value_is_escaped() {
        assert_eq!(super::quote_for_shell("it's"), r"'it'\''s'");
    }
}
