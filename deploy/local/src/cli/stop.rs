//! `medhub-local stop`: ends the running stack as Ctrl-C would.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use nix::sys::signal::Signal;

use super::Places;
use crate::{folder::Claim, state::Stack};

#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Seconds to wait until everything has ended.
    #[arg(long, default_value_t = 120)]
    wait: u64,
}

impl Stop {
    pub(super) fn run(&self, places: &Places) -> anyhow::Result<ExitCode> {
        let data = places.data()?;
        let stack = Stack::running(&data)?;
        tracing::info!(process.pid = stack.supervisor.pid, "stopping");
        stack.supervisor.send(Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        while Claim::is_held(&Stack::lock(&data)) {
            if Instant::now() > deadline {
                bail!("the stack with pid {} has not ended within {} s", stack.supervisor.pid, self.wait);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(ExitCode::SUCCESS)
    }
}
