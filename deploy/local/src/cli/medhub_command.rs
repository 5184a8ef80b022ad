//! `medhub-local medhub ..`: the product's own command line against the running stack.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Args;

use super::FolderOptions;
use crate::{process::THIS_PROGRAM, stack_state::StackState};

#[derive(Debug, Args)]
pub(super) struct MedhubCommand {
    /// Arguments of `medhub`; `medhub-local medhub --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl MedhubCommand {
    /// Becomes a fresh process: that is how it gets another environment.
    pub(super) fn run(self, places: &FolderOptions) -> anyhow::Result<ExitCode> {
        let about_itself =
            self.args.iter().all(|word| ["help", "-h", "--help", "-V", "--version"].map(OsStr::new).contains(&&**word));
        let mut command = Command::new(THIS_PROGRAM);
        if !about_itself {
            command.envs(StackState::running(&places.data()?)?.variables);
        }
        command.arg("product").args(self.args);
        Err(command.exec()).context("starting the product's command line")
    }
}
