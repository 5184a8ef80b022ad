//! Waits for the steps of a flow and prints how long they took.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::supervised_stack::{PRODUCT, SupervisedStack, log_path};

/// How often a step is looked for: its time is known to this precision.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The time since a flow began.
#[derive(Debug)]
pub(super) struct FlowWatch<'a> {
    /// What began it.
    start: &'static str,
    started_at: Instant,
    patience: Duration,
    stack: &'a SupervisedStack,
}

impl<'a> FlowWatch<'a> {
    /// A flow that begins now and may take `patience` seconds.
    pub(super) fn start(start: &'static str, stack: &'a SupervisedStack, patience: u64) -> Self {
        Self { start, started_at: Instant::now(), patience: Duration::from_secs(patience), stack }
    }

    /// Waits until `find` finds what the flow leads to next.
    ///
    /// # Errors
    /// If it fails, or finds nothing in time.
    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        mut find: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        loop {
            if let Some(found) = find().await? {
                return Ok(found);
            }
            if self.started_at.elapsed() > self.patience {
                let log = log_path(self.stack.folder(), PRODUCT);
                bail!(
                    "no {what} {} s after the {}; `medhub processes list` says what is waited for, the product's log is {}",
                    self.patience.as_secs(),
                    self.start,
                    log.display()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Prints a step that has been reached now.
    pub(super) fn print_step(&self, step: &str, what: &str) {
        println!("  {} -> {step} in {:.1} s: {what}", self.start, self.started_at.elapsed().as_secs_f64());
    }

    /// Waits until the trail has an event of a type, and prints the trail.
    pub(super) async fn print_trail(&self, correlation_id: &str, last_event: &str) -> anyhow::Result<()> {
        let what = format!("event {last_event} in the trail {correlation_id}");
        self.wait_for(&what, async || self.find_event(correlation_id, last_event).await).await?;
        println!("\n$ medhub trail {correlation_id}");
        let mut trail = self.stack.product_command(&["trail", correlation_id]);
        let status = trail.stdin(Stdio::null()).status().await.context("starting `medhub trail`")?;
        if !status.success() {
            bail!("`medhub trail {correlation_id}` failed: {status}");
        }
        Ok(())
    }

    async fn find_event(&self, correlation_id: &str, event_type: &str) -> anyhow::Result<Option<()>> {
        let mut trail = self.stack.product_command(&["trail", correlation_id, "--json"]);
        let output = trail.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
        let output = output.context("starting `medhub trail`")?;
        if !output.status.success() {
            bail!("`medhub trail {correlation_id}` failed: {}", output.status);
        }
        let trail: Value = serde_json::from_slice(&output.stdout).context("reading a trail")?;
        let events = trail.get("events").and_then(Value::as_array);
        let is_event = |event: &Value| event.get("eventType").is_some_and(|found| found == event_type);
        Ok(events.is_some_and(|events| events.iter().any(is_event)).then_some(()))
    }
}
