//! Relays as processes of the product: one leads, one stands by.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{bounded_wait::until, fault_environment::FaultEnvironment};
use crate::ProductProcess;

/// What a relay says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayProcessStatus {
    /// `leading`, `standby` or `retrying`.
    pub state: String,
    /// Everything up to here is on Kafka, if it leads.
    pub position: u64,
}

impl RelayProcessStatus {
    /// Whether it publishes.
    pub fn leads(&self) -> bool {
        self.state == "leading"
    }
}

/// What a relay says about itself.
///
/// # Errors
/// If it does not answer.
pub async fn status(relay: &ProductProcess) -> anyhow::Result<RelayProcessStatus> {
    let answer = relay.ready().await?;
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
    pub fn start(field: &FaultEnvironment) -> anyhow::Result<Self> {
        let relay = |name| ProductProcess::start(field.variables(), field.logs(), name, &["serve", "--role", "relay"]);
        Ok(Self([relay("relay-a")?, relay("relay-b")?]))
    }

    /// Which one leads, and how far it is.
    ///
    /// # Errors
    /// What both say, if none leads.
    pub async fn leader(&self) -> anyhow::Result<(usize, RelayProcessStatus)> {
        let [first, second] = &self.0;
        let (first, second) = tokio::join!(status(first), status(second));
        let mut said = Vec::new();
        for (index, status) in [first, second].into_iter().enumerate() {
            match status {
                Ok(status) if status.leads() => return Ok((index, status)),
                Ok(status) => said.push(format!("{}: {}", self.0[index].name(), status.state)),
                Err(error) => said.push(format!("{}: {error:#}", self.0[index].name())),
            }
        }
        bail!("no relay leads: {}", said.join(", "))
    }

    /// Waits until one leads and has published everything up to `position`.
    ///
    /// # Errors
    /// The last objection, with the end of both logs.
    pub async fn reach(&self, position: u64, patience: Duration) -> anyhow::Result<usize> {
        let reached = until(patience, async || {
            let (index, status) = self.leader().await?;
            anyhow::ensure!(
                status.position >= position,
                "{} is at {status:?}, not at {position}",
                self.0[index].name()
            );
            Ok(index)
        });
        reached.await.map_err(|error| error.context(format!("the relays said:{}", self.last_words())))
    }

    /// The ends of both logs.
    pub fn last_words(&self) -> String {
        self.0.iter().map(|relay| format!("\n  {}{}", relay.name(), relay.last_words())).collect::<Vec<_>>().concat()
    }

    /// How long it takes from now until a relay other than `before` has published everything up to `position`.
    ///
    /// # Errors
    /// The last objection.
    pub async fn taken_over(
        &self,
        before: usize,
        position: u64,
        since: Instant,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let heir = &self.0[1 - before];
        until(patience, async || {
            let status = status(heir).await?;
            anyhow::ensure!(status.leads() && status.position >= position, "{} is {status:?}", heir.name());
            Ok(since.elapsed())
        })
        .await
        .map_err(|error| error.context(format!("waiting for {}{}", heir.name(), heir.last_words())))
    }
}
