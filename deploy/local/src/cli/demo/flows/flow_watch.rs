//! Waits for the steps of a flow, and prints how long they took.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::supervised_stack::{PRODUCT, SupervisedStack, log_path};

/// How often a step is looked for: its time is known to this precision.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A flow that has begun.
#[derive(Debug)]
pub(super) struct FlowWatch<'a> {
    /// What began it, in one word.
    pub(super) start: &'static str,
    pub(super) started_at: Instant,
    /// How long the flow may take.
    pub(super) patience: Duration,
    pub(super) correlation_id: String,
    pub(super) stack: &'a SupervisedStack,
}

impl FlowWatch<'_> {
    /// Waits until `find` finds what the flow leads to next.
    ///
    /// # Errors
    /// If `find` fails, or finds nothing in time; the trail is printed then.
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
                self.print_trail().await?;
                let log = log_path(self.stack.folder(), PRODUCT);
                bail!(
                    "no {what} {} s after the {}: the trail shows how far it came, the product's log is {}",
                    self.patience.as_secs(),
                    self.start,
                    log.display()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the trail has an event of a type.
    pub(super) async fn wait_for_event(&self, event_type: &str) -> anyhow::Result<()> {
        self.wait_for(&format!("event {event_type}"), async || self.find_event(event_type).await).await
    }

    /// Prints a step that has been reached now.
    pub(super) fn print_step(&self, step: &str, what: &str) {
        println!("  {} -> {step} in {:.1} s: {what}", self.start, self.started_at.elapsed().as_secs_f64());
    }

    /// Prints the trail.
    pub(super) async fn print_trail(&self) -> anyhow::Result<()> {
        println!("\n$ medhub trail {}", self.correlation_id);
        let mut trail = self.stack.product_command(&["trail", &self.correlation_id]);
        let status = trail.stdin(Stdio::null()).status().await.context("starting `medhub trail`")?;
        if !status.success() {
            bail!("`medhub trail {}` failed: {status}", self.correlation_id);
        }
        Ok(())
    }

    async fn find_event(&self, event_type: &str) -> anyhow::Result<Option<()>> {
        let mut trail = self.stack.product_command(&["trail", &self.correlation_id, "--json"]);
        let output = trail.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
        let output = output.context("starting `medhub trail`")?;
        if !output.status.success() {
            bail!("`medhub trail {}` failed: {}", self.correlation_id, output.status);
        }
        let trail: Value = serde_json::from_slice(&output.stdout).context("reading a trail")?;
        let mut events = trail.get("events").and_then(Value::as_array).into_iter().flatten();
        Ok(events.any(|event| event.get("eventType").is_some_and(|found| found == event_type)).then_some(()))
    }
}
