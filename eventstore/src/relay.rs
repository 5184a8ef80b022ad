//! The relay: carries every event of the log to Kafka, in order, at least once.
//!
//! ```text
//! Standby ──lock──▶ Resuming ──tails read──▶ Publishing ──┐
//!    ▲                                          │  ▲      │ batch acknowledged:
//!    └──────── connection or broker lost ───────┘  └──────┘ move the checkpoint
//! ```
//!
//! One relay leads, by an advisory lock that lives on the very connection it reads with, so that a leader that lost
//! its connection has also stopped reading. After a crash the checkpoint is behind what Kafka has; the leader then
//! looks at the last record of every partition and leaves out what is there already, because within a partition
//! positions only grow.

mod publisher;
mod tail;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::publisher::Publisher;
use crate::{
    error::{LogError, postgres},
    reader,
    topic::KafkaConfig,
};

/// Key of the leader's lock: 'MHRL'.
const LEADER_LOCK: i64 = 0x4d48_524c;
/// Name of the checkpoint.
const RELAY: &str = "kafka";

/// How the relay works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Most events of one batch.
    pub batch_events: u32,
    /// Pause between looks at an idle log, in milliseconds; grows from the first to the second while nothing comes.
    pub poll_min_ms: u64,
    /// The longest such pause, in milliseconds.
    pub poll_max_ms: u64,
    /// Pause before trying again after a failure, and between a standby's tries to lead, in milliseconds.
    pub retry_ms: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { batch_events: 2_000, poll_min_ms: 5, poll_max_ms: 100, retry_ms: 1_000 }
    }
}

/// What the relay is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// Whether this process leads.
    pub leading: bool,
    /// Everything up to here is on Kafka, acknowledged.
    pub position: u64,
    /// The log is complete up to here.
    pub fence: u64,
    /// Events published since this process started leading.
    pub published: u64,
    /// Why it is not working, if so.
    pub last_error: Option<String>,
}

/// Carries the log to Kafka.
#[derive(Debug)]
pub struct Relay {
    pool: PgPool,
    kafka: KafkaConfig,
    config: RelayConfig,
    status: watch::Sender<RelayStatus>,
}

impl Relay {
    /// A relay from the log behind `pool` to the brokers of `kafka`.
    pub fn new(pool: PgPool, kafka: KafkaConfig, config: RelayConfig) -> Self {
        Self { pool, kafka, config, status: watch::Sender::new(RelayStatus::default()) }
    }

    /// Follows what the relay is doing.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Works until `shutdown`. Failures are logged, kept in the status, and tried again after a pause.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.lead(&shutdown).await {
                Ok(()) => self.status.send_modify(|status| status.last_error = None),
                Err(error) => self.failed(&error),
            }
            self.status.send_modify(|status| status.leading = false);
            pause(&shutdown, self.config.retry_ms).await;
        }
        tracing::info!(relay.position = self.status.borrow().position, "relay stopped");
    }

    fn failed(&self, error: &LogError) {
        let text = chain(error);
        let known = self.status.borrow().last_error.as_ref() == Some(&text);
        if !known {
            tracing::error!(error = text, retry_ms = self.config.retry_ms, "relay cannot work, trying again");
        }
        self.status.send_modify(|status| status.last_error = Some(text));
    }

    /// Tries to lead; publishes until told to stop or until something breaks. `Ok` when another relay leads.
    async fn lead(&self, shutdown: &CancellationToken) -> Result<(), LogError> {
        // A connection of its own, not one that goes back to the pool: the lock must end with the leadership.
        let mut connection = self.pool.acquire().await.map_err(postgres("connecting"))?.detach();
        let leads: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LEADER_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(postgres("asking for the relay's lock"))?;
        if leads {
            self.publish(&mut connection, shutdown).await?;
        }
        connection.close().await.map_err(postgres("closing the relay's connection"))
    }

    async fn publish(&self, connection: &mut PgConnection, shutdown: &CancellationToken) -> Result<(), LogError> {
        let incarnation = reader::incarnation(connection).await?;
        let mut position = load_checkpoint(connection, incarnation).await?;
        let fence = reader::completed_prefix(connection).await?;
        let tails = tail::read(&self.kafka, reader::log_end(connection).await?).await?;
        let publisher = Publisher::new(&self.kafka, tails)?;
        tracing::info!(relay.position = position, relay.fence = fence, "relay leads");
        self.status.send_modify(|status| {
            *status = RelayStatus { leading: true, position, fence, ..RelayStatus::default() };
        });
        let mut idle_ms = self.config.poll_min_ms;
        while !shutdown.is_cancelled() {
            let fence = reader::completed_prefix(connection).await?;
            if fence <= position {
                pause(shutdown, idle_ms).await;
                idle_ms = (idle_ms * 2).min(self.config.poll_max_ms);
                continue;
            }
            idle_ms = self.config.poll_min_ms;
            let batch = reader::read_after(connection, position, fence, self.config.batch_events).await?;
            // A short batch means that the rest up to the fence are gaps that nobody will fill.
            let whole = batch.len() < usize::try_from(self.config.batch_events).unwrap_or(usize::MAX);
            let reached = if whole { fence } else { batch.last().map_or(fence, |event| event.position) };
            let acknowledged = tokio::select! {
                outcome = publisher.publish(&batch) => outcome?,
                // What was sent but not acknowledged is found again on the partitions' ends.
                () = shutdown.cancelled() => return Ok(()),
            };
            position = reached;
            save_checkpoint(connection, incarnation, position).await?;
            self.status.send_modify(|status| {
                status.position = position;
                status.fence = fence;
                status.published += acknowledged;
            });
        }
        Ok(())
    }
}

async fn load_checkpoint(connection: &mut PgConnection, incarnation: Uuid) -> Result<u64, LogError> {
    let found: Option<(Uuid, i64)> =
        sqlx::query_as("select incarnation, position from relay_checkpoints where relay = $1")
            .bind(RELAY)
            .fetch_optional(connection)
            .await
            .map_err(postgres("reading the relay's checkpoint"))?;
    match found {
        None => Ok(0),
        Some((log, position)) if log == incarnation => Ok(position.unsigned_abs()),
        Some((checkpoint, _)) => Err(LogError::ForeignCheckpoint { checkpoint, log: incarnation }),
    }
}

async fn save_checkpoint(connection: &mut PgConnection, incarnation: Uuid, position: u64) -> Result<(), LogError> {
    sqlx::query(include_str!("relay/save_checkpoint.sql"))
        .bind(RELAY)
        .bind(incarnation)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map(drop)
        .map_err(postgres("moving the relay's checkpoint"))
}

async fn pause(shutdown: &CancellationToken, ms: u64) {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        () = shutdown.cancelled() => {}
    }
}

fn chain(error: &LogError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
