//! `medhub-local medhub ..`: runs the product's command line against the running stack.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Args;

use super::FolderOptions;
use crate::{process::CURRENT_EXE, stack_state::StackState};

#[derive(Debug, Args)]
pub(super) struct MedhubCommand {
    /// Arguments of `medhub`; `medhub-local medhub --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl MedhubCommand {
    /// Replaces this process, so that the product starts with the stack's environment.
    pub(super) fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let asks_for_help = self
            .args
            .iter()
            .all(|argument| ["help", "-h", "--help", "-V", "--version"].map(OsStr::new).contains(&&**argument));
        let mut command = Command::new(CURRENT_EXE);
        if !asks_for_help {
            command.envs(StackState::read_running(&folders.data_folder()?)?.variables);
        }
        command.arg("product").args(self.args);
        Err(command.exec()).context("starting the product's command line")
    }
}
