//! `medhub-local env`: the running stack's addresses, for a shell.

use std::process::ExitCode;

use clap::Args;

use super::FolderOptions;
use crate::stack_state::StackState;

/// Qdrant's clients speak REST to an address unless they are told otherwise.
const QDRANT_NOTE: &str =
    "QDRANT_URL is gRPC only; in Python: QdrantClient(host=HOST, grpc_port=PORT, prefer_grpc=True)";

/// Use it as `eval "$(medhub-local env)"`.
#[derive(Debug, Args)]
pub(super) struct EnvCommand {}

impl EnvCommand {
    #[expect(clippy::unused_self, reason = "every command is run the same way")]
    pub(super) fn run(&self, places: &FolderOptions) -> anyhow::Result<ExitCode> {
        for (variable, value) in StackState::running(&places.data()?)?.variables {
            println!("export {variable}={}", quoted(&value));
        }
        // Last, so that it hides nothing from a shell that reads all lines as one.
        println!("# {QDRANT_NOTE}");
        Ok(ExitCode::SUCCESS)
    }
}

/// A value as a POSIX shell reads it back.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_survive_the_shell() {
        assert_eq!(super::quoted("it's"), r"'it'\''s'");
    }
}
