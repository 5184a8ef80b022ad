//! Relays as processes of the product: one leads, one stands by.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{bounded_wait::wait_until, fault_environment::FaultEnvironment};
use crate::ProductProcess;

/// The status that a relay reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayProcessStatus {
    /// `leading`, `standby` or `retrying`.
    pub state: String,
    /// If it leads, the position up to which everything is on Kafka.
    pub position: u64,
}

impl RelayProcessStatus {
    /// Whether it publishes.
    pub fn is_leading(&self) -> bool {
        self.state == "leading"
    }
}

/// Reads the status that a relay reports.
///
/// # Errors
/// If it does not answer.
pub async fn read_status(relay: &ProductProcess) -> anyhow::Result<RelayProcessStatus> {
    let answer = relay.fetch_readiness().await?;
    let part = &answer["parts"]["relay"];
    let state = part["state"].as_str().with_context(|| format!("{} says {answer}", relay.name()))?;
    Ok(RelayProcessStatus { state: state.to_owned(), position: part["position"].as_u64().unwrap_or_default() })
}

/// Two relays on one log.
#[derive(Debug)]
pub struct RelayPair(pub [ProductProcess; 2]);

impl RelayPair {
    /// Starts both.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(environment: &FaultEnvironment) -> anyhow::Result<Self> {
        let relay = |name| {
            ProductProcess::start(
                environment.variables(),
                environment.log_folder(),
                name,
                &["serve", "--role", "relay"],
            )
        };
        Ok(Self([relay("relay-a")?, relay("relay-b")?]))
    }

    /// Finds the relay that leads; returns its index and status.
    ///
    /// # Errors
    /// If none leads; the error holds the states of both.
    pub async fn find_leader(&self) -> anyhow::Result<(usize, RelayProcessStatus)> {
        let [first, second] = &self.0;
        let (first, second) = tokio::join!(read_status(first), read_status(second));
        let mut descriptions = Vec::new();
        for (index, outcome) in [first, second].into_iter().enumerate() {
            match outcome {
                Ok(leader) if leader.is_leading() => return Ok((index, leader)),
                Ok(leader) => descriptions.push(format!("{}: {}", self.0[index].name(), leader.state)),
                Err(error) => descriptions.push(format!("{}: {error:#}", self.0[index].name())),
            }
        }
        bail!("no relay leads: {}", descriptions.join(", "))
    }

    /// Waits until one leads and has published everything up to `position`.
    ///
    /// # Errors
    /// The last error, with the end of both logs.
    pub async fn wait_until_published(&self, position: u64, timeout: Duration) -> anyhow::Result<usize> {
        let reached = wait_until(timeout, async || {
            let (index, status) = self.find_leader().await?;
            anyhow::ensure!(
                status.position >= position,
                "{} is at {status:?}, not at {position}",
                self.0[index].name()
            );
            Ok(index)
        });
        reached.await.map_err(|error| error.context(format!("logs of the relays:{}", self.log_tails())))
    }

    /// The ends of both logs.
    pub fn log_tails(&self) -> String {
        self.0.iter().map(|relay| format!("\n  {}{}", relay.name(), relay.log_tail())).collect::<Vec<_>>().concat()
    }

    /// Waits until the relay that is not `before` has published everything up to `position`; returns the time since
    /// `since`.
    ///
    /// # Errors
    /// The last error.
    pub async fn wait_for_takeover(
        &self,
        before: usize,
        position: u64,
        since: Instant,
        timeout: Duration,
    ) -> anyhow::Result<Duration> {
        let successor = &self.0[1 - before];
        wait_until(timeout, async || {
            let status = read_status(successor).await?;
            anyhow::ensure!(status.is_leading() && status.position >= position, "{} is {status:?}", successor.name());
            Ok(since.elapsed())
        })
        .await
        .map_err(|error| error.context(format!("waiting for {}{}", successor.name(), successor.log_tail())))
    }
}
