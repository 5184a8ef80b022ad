//! `medhub-local env`: the running stack's addresses, for a shell.

use std::process::ExitCode;

use clap::Args;

use super::Places;
use crate::state::Stack;

/// Use it as `eval "$(medhub-local env)"`.
#[derive(Debug, Args)]
pub(super) struct Env {}

impl Env {
    #[expect(clippy::unused_self, reason = "every command is run the same way")]
    pub(super) fn run(&self, places: &Places) -> anyhow::Result<ExitCode> {
        for (variable, value) in Stack::running(&places.data()?)?.variables {
            println!("export {variable}={}", quoted(&value));
        }
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
