//! Faults of the engines in a test's own stack; `medhub-local` restarts an engine that was killed.

use std::time::Duration;

use anyhow::Context as _;
use medhub_local::process::ProcessIdentity;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::bounded_wait::wait_until;
use crate::TestStack;

const RESTART_TIMEOUT: Duration = Duration::from_secs(30);

/// The engines of a stack.
#[derive(Debug, Clone, Copy)]
pub struct EngineFaults<'a>(pub &'a TestStack);

impl EngineFaults<'_> {
    /// kill -9 of an engine with all its processes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill9(self, engine: &str) -> anyhow::Result<ProcessIdentity> {
        let process = self.identity(engine)?;
        let children = process.child_pids();
        process.send_signal(Signal::SIGKILL);
        for child in children.into_iter().filter_map(ProcessIdentity::from_pid) {
            child.send_signal(Signal::SIGKILL);
        }
        Ok(process)
    }

    /// Pauses an engine for `time`: connections stay open and get no answers.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn pause_for(self, engine: &str, time: Duration) -> anyhow::Result<()> {
        let _paused = self.pause_engine(engine)?;
        sleep(time).await;
        Ok(())
    }

    /// Pauses an engine until the returned value is dropped.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause_engine(self, engine: &str) -> anyhow::Result<PausedEngine> {
        let process = self.identity(engine)?;
        process.send_signal(Signal::SIGSTOP);
        Ok(PausedEngine(process))
    }

    /// kill -9 of an engine; its restarted process is paused before it listens, for `time`, so that connections are
    /// refused.
    ///
    /// # Errors
    /// If it does not run, or its supervisor does not start it again.
    pub async fn make_unavailable(self, engine: &str, time: Duration) -> anyhow::Result<()> {
        let process = self.kill9(engine)?;
        let restarted = wait_until(RESTART_TIMEOUT, async || {
            let found = self.identity(engine)?;
            anyhow::ensure!(found != process, "{engine} was not started again");
            found.send_signal(Signal::SIGSTOP);
            Ok(found)
        })
        .await?;
        sleep(time).await;
        restarted.send_signal(Signal::SIGCONT);
        Ok(())
    }

    fn identity(self, engine: &str) -> anyhow::Result<ProcessIdentity> {
        let state = self.0.state();
        let process = state.processes.get(engine).with_context(|| format!("the stack runs no {engine} of its own"))?;
        process.identity.with_context(|| format!("{engine} does not run"))
    }
}

/// A paused engine, which continues when this value is dropped.
#[derive(Debug)]
pub struct PausedEngine(ProcessIdentity);

impl Drop for PausedEngine {
    fn drop(&mut self) {
        self.0.send_signal(Signal::SIGCONT);
    }
}
