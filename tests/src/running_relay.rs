//! A relay inside the test program.
#![expect(clippy::unwrap_used, reason = "a harness fails a test by panicking")]

use eventstore::{
    relay::{Relay, RelayConfig, RelayStatus},
    topic::KafkaConfig,
};
use schemas::{catalog, registry_client::SchemaRegistryClient};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{eventually, registry};

/// A relay from a log to topics, in a task of the test's runtime.
#[derive(Debug)]
pub struct RunningRelay {
    /// The relay's status as it changes.
    pub status: watch::Receiver<RelayStatus>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl RunningRelay {
    /// Settings with a short delay before a retry.
    pub fn quick_config() -> RelayConfig {
        RelayConfig { retry_ms: 50, ..RelayConfig::default() }
    }

    /// Starts a relay with the shared schema registry.
    pub async fn start(pool: &PgPool, kafka: &KafkaConfig) -> Self {
        Self::start_with(pool, kafka, Self::quick_config()).await
    }

    /// [`Self::start`] with other settings.
    pub async fn start_with(pool: &PgPool, kafka: &KafkaConfig, config: RelayConfig) -> Self {
        Self::start_with_registry(pool, kafka, &registry().await, config)
    }

    /// [`Self::start_with`] another schema registry.
    pub fn start_with_registry(
        pool: &PgPool,
        kafka: &KafkaConfig,
        registry: &SchemaRegistryClient,
        config: RelayConfig,
    ) -> Self {
        let relay = Relay::new(pool.clone(), kafka.clone(), registry.clone(), catalog::all_schemas(), config);
        let (status, shutdown) = (relay.status(), CancellationToken::new());
        Self { status, task: tokio::spawn(relay.run(shutdown.clone())), shutdown }
    }

    /// Waits until everything up to `position` is on the topics.
    ///
    /// # Panics
    /// If it does not within [`crate::WAIT_TIMEOUT`].
    pub async fn wait_until_published(&self, position: u64) {
        eventually(async || {
            let status = self.status.borrow().clone();
            if status.position >= position { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    /// Waits until the relay reports an error, and returns it.
    ///
    /// # Panics
    /// If it reports none within [`crate::WAIT_TIMEOUT`].
    pub async fn wait_for_error(&self) -> String {
        eventually(async || {
            let status = self.status.borrow().clone();
            status.last_error.clone().ok_or(format!("{status:?}"))
        })
        .await
    }

    /// Waits until it reports an error with this text: after a restart of the broker it may report a passing one first.
    pub async fn wait_for_error_with(&self, text: &str) -> String {
        eventually(async || {
            let status = self.status.borrow().clone();
            status.last_error.clone().filter(|error| error.contains(text)).ok_or(format!("{status:?}"))
        })
        .await
    }

    /// Stops it and waits for its end.
    ///
    /// # Panics
    /// If the relay panicked.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}
