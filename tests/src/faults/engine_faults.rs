//! The engines of a test's own stack as victims; `medhub-local` starts again what dies.

use std::time::Duration;

use anyhow::Context as _;
use medhub_local::process::ProcessIdentity;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::bounded_wait::until;
use crate::TestStack;

const RESTART_WITHIN: Duration = Duration::from_secs(30);

/// The engines of a stack.
#[derive(Debug, Clone, Copy)]
pub struct EngineFaults<'a>(pub &'a TestStack);

impl EngineFaults<'_> {
    /// kill -9 of an engine with all its processes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill9(self, engine: &str) -> anyhow::Result<ProcessIdentity> {
        let victim = self.identity(engine)?;
        let children = victim.children();
        victim.send(Signal::SIGKILL);
        for child in children.into_iter().filter_map(ProcessIdentity::of) {
            child.send(Signal::SIGKILL);
        }
        Ok(victim)
    }

    /// Lets an engine stand still for a while: connections stay open, and nobody answers.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn pause(self, engine: &str, time: Duration) -> anyhow::Result<()> {
        let _standing = self.stand_still(engine)?;
        sleep(time).await;
        Ok(())
    }

    /// Lets an engine stand still until the answer is dropped.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stand_still(self, engine: &str) -> anyhow::Result<PausedEngine> {
        let victim = self.identity(engine)?;
        victim.send(Signal::SIGSTOP);
        Ok(PausedEngine(victim))
    }

    /// kill -9 of an engine, and its successor is stopped before it listens, so that connections are refused.
    ///
    /// # Errors
    /// If it does not run, or its supervisor does not start it again.
    pub async fn keep_away(self, engine: &str, time: Duration) -> anyhow::Result<()> {
        let victim = self.kill9(engine)?;
        let successor = until(RESTART_WITHIN, async || {
            let found = self.identity(engine)?;
            anyhow::ensure!(found != victim, "{engine} was not started again");
            found.send(Signal::SIGSTOP);
            Ok(found)
        })
        .await?;
        sleep(time).await;
        successor.send(Signal::SIGCONT);
        Ok(())
    }

    fn identity(self, engine: &str) -> anyhow::Result<ProcessIdentity> {
        let state = self.0.state();
        let process = state.processes.get(engine).with_context(|| format!("the stack has no {engine} of its own"))?;
        process.identity.with_context(|| format!("{engine} does not run"))
    }
}

/// An engine that stands still; it goes on when this is dropped.
#[derive(Debug)]
pub struct PausedEngine(ProcessIdentity);

impl Drop for PausedEngine {
    fn drop(&mut self) {
        self.0.send(Signal::SIGCONT);
    }
}
