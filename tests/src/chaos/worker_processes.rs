//! The product's processes between log and read models: a relay and two processes with a worker for each read model.

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{ProductProcess, TestStack};

/// The relay and the workers of a run.
pub(super) struct WorkerProcesses {
    variables: std::collections::BTreeMap<String, String>,
    logs: TempDir,
    relay: ProductProcess,
    /// Two processes with workers that run all the time.
    pub(super) permanent: [ProductProcess; 2],
    started: usize,
}

impl WorkerProcesses {
    pub(super) fn start(stack: &TestStack) -> anyhow::Result<Self> {
        let logs = tempfile::Builder::new().prefix("medhub-chaos-").tempdir().context("creating a folder for logs")?;
        let variables = stack.variables().clone();
        let process =
            |name: &str, role: &str| ProductProcess::start(&variables, logs.path(), name, &["serve", "--role", role]);
        let relay = process("relay", "relay")?;
        let permanent = [process("workers-a", "projections")?, process("workers-b", "projections")?];
        Ok(Self { variables, logs, relay, permanent, started: 2 })
    }

    /// Starts one more process with workers, so that partitions are reassigned.
    pub(super) fn start_extra(&mut self) -> anyhow::Result<ProductProcess> {
        self.started += 1;
        let name = format!("workers-{}", self.started);
        ProductProcess::start(&self.variables, self.logs.path(), &name, &["serve", "--role", "projections"])
    }

    /// Starts processes that have ended by themselves, for example because an engine was unavailable for too long.
    pub(super) fn restart_stopped(&mut self) -> anyhow::Result<()> {
        for process in self.permanent.iter_mut().chain([&mut self.relay]) {
            process.send_signal(Signal::SIGCONT);
            if !process.is_running() {
                process.launch()?;
            }
        }
        Ok(())
    }

    /// Stops all processes gracefully; returns the errors of those that did not end so.
    pub(super) async fn stop(mut self) -> Vec<String> {
        let mut reasons = vec![];
        for process in self.permanent.iter_mut().chain([&mut self.relay]) {
            if let Err(error) = process.stop().await {
                reasons.push(format!("{error:#}"));
            }
        }
        reasons
    }

    pub(super) fn log_tails(&self) -> String {
        let all = self.permanent.iter().chain([&self.relay]);
        all.map(|process| format!("\n  {}{}", process.name(), process.log_tail())).collect::<Vec<_>>().concat()
    }
}
