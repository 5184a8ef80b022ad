//! `medhub-local stop`: ends the running stack as Ctrl-C would.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use nix::sys::signal::Signal;

use super::FolderOptions;
use crate::{folder::ProcessLock, stack_state::StackState};

#[derive(Debug, Args)]
pub(super) struct StopCommand {
    /// Seconds to wait until everything has ended.
    #[arg(long, default_value_t = 120)]
    wait: u64,
}

impl StopCommand {
    pub(super) fn run(&self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let data = folders.data_folder()?;
        let stack = StackState::read_running(&data)?;
        tracing::info!(process.pid = stack.supervisor.pid, "stopping");
        stack.supervisor.send_signal(Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        while ProcessLock::is_held(&StackState::lock_path(&data)) {
            if Instant::now() > deadline {
                bail!("the stack with pid {} has not ended within {} s", stack.supervisor.pid, self.wait);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(ExitCode::SUCCESS)
    }
}
