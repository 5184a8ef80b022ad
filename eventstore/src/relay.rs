//! The relay: carries every event of the log to Kafka, in order, at least once.
//!
//! ```text
//! Standby ──lock──▶ Resuming ──ends read──▶ Publishing ──┐
//!    ▲                                         │   ▲     │ acknowledged:
//!    └──────── connection or broker lost ──────┘   └─────┘ move the checkpoint
//!
//! Publishing:  source ──batches──▶ sender ──sent──▶ acknowledger
//!              fence, read         encode,          await Kafka,
//!                                  produce,         move the checkpoint
//!                                  beacons
//! ```
//!
//! One relay leads, by an advisory lock that lives on the very connection it reads with, so that a leader that lost
//! its connection has also stopped reading. After a crash the checkpoint is behind what Kafka has; the leader then
//! looks at the last record of every partition and leaves out what is there already, because within a partition
//! positions only grow. Every stage waits for the next one, so a Kafka that is away holds the relay still at a bounded
//! number of events, and it goes on by itself.

mod acknowledge;
mod checkpoint;
mod config;
mod delivery;
mod end;
mod leadership;
mod metric;
mod open_append;
mod partition;
mod progress;
mod publisher;
mod record;
mod send;
mod source;
mod status;

use std::time::Duration;

use schemas::registry::Registry;
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

pub(crate) use self::end::read as partition_ends;
use self::{acknowledge::Acknowledger, leadership::Leadership, publisher::Publisher, send::Sender, source::Source};
pub use self::{
    config::RelayConfig,
    open_append::OpenAppend,
    progress::{RelayProgress, progress},
    status::RelayStatus,
};
use crate::{
    error::{LogError, chain},
    incarnation,
    topic::{self, KafkaConfig},
};

/// Batches that are read while the one before is being encoded.
const READ_AHEAD: usize = 2;

/// Carries the log to Kafka.
pub struct Relay {
    pool: PgPool,
    kafka: KafkaConfig,
    registry: Registry,
    config: RelayConfig,
    status: watch::Sender<RelayStatus>,
}

impl Relay {
    /// A relay from the log behind `pool` to the brokers of `kafka`, with the schemas of `registry`.
    pub fn new(pool: PgPool, kafka: KafkaConfig, registry: Registry, config: RelayConfig) -> Self {
        Self { pool, kafka, registry, config, status: watch::Sender::new(RelayStatus::default()) }
    }

    /// Follows what the relay is doing.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Works until `shutdown`; then what was sent is awaited for a moment, so that the next leader finds a checkpoint
    /// that is true. Failures are logged, kept in the status, and tried again after a pause.
    pub async fn run(self, shutdown: CancellationToken) {
        metric::describe();
        while !shutdown.is_cancelled() {
            let pause = match self.lead(&shutdown).await {
                Ok(()) => {
                    self.status.send_modify(|status| status.last_error = None);
                    self.config.retry()
                }
                Err(error) => self.failed(&error),
            };
            self.status.send_modify(RelayStatus::stand_back);
            metric::leading(false);
            sleep(&shutdown, pause).await;
        }
        tracing::info!(relay.position = self.status.borrow().position, "relay stopped");
    }

    /// Says why it failed and how long to wait: an event that cannot be published will not change by itself, and
    /// another relay, perhaps of a newer release that knows the event, shall have its turn.
    fn failed(&self, error: &LogError) -> Duration {
        let pause = if error.is_about_an_event() { self.config.poison() } else { self.config.retry() };
        let text = chain(error);
        let known = self.status.borrow().last_error.as_ref() == Some(&text);
        if !known {
            let retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(error = text, retry_ms, "relay cannot work, trying again");
        }
        self.status.send_modify(|status| status.last_error = Some(text));
        pause
    }

    /// Tries to lead; publishes until told to stop or until something breaks. `Ok` when another relay leads.
    async fn lead(&self, shutdown: &CancellationToken) -> Result<(), LogError> {
        match Leadership::take(&self.pool).await? {
            Some(leadership) => self.publish(leadership, shutdown).await,
            None => Ok(()),
        }
    }

    async fn publish(&self, mut leadership: Leadership, shutdown: &CancellationToken) -> Result<(), LogError> {
        let connection = leadership.connection();
        let incarnation = incarnation::of(connection).await?;
        let position = checkpoint::load(connection, incarnation).await?;
        let ends = end::read(&self.kafka).await?;
        end::verify(connection, incarnation, &ends).await?;
        let publisher = Publisher::new(&self.kafka, incarnation, ends)?;
        tracing::info!(relay.position = position, log.incarnation = %incarnation, "relay leads");
        metric::leading(true);
        self.status.send_modify(|status| *status = RelayStatus::leading_from(position, status));

        let (connection, proof) = leadership.into_parts();
        let mut source = Source::new(connection, &self.config, position)?;
        let (batches, to_send) = mpsc::channel(READ_AHEAD);
        // Events are what is counted: a log that trickles makes many small batches.
        let (sent, to_acknowledge) = mpsc::unbounded_channel();
        let (saved, checkpoint) = watch::channel(position);
        let sender = Sender::new(publisher, self.registry.clone(), &self.config, checkpoint);
        let sender = AbortOnDropHandle::new(tokio::spawn(sender.run(to_send, sent)));
        let acknowledger = Acknowledger::new(self.pool.clone(), incarnation, self.status.clone(), saved);
        let acknowledger = AbortOnDropHandle::new(tokio::spawn(acknowledger.run(to_acknowledge)));
        let watch = open_append::watch(self.pool.clone(), self.status.clone(), self.config.slow_append());
        let _watch = AbortOnDropHandle::new(tokio::spawn(watch));

        let read = tokio::select! {
            read = source.run(batches, shutdown) => read,
            // What still waits for Kafka is taken back: the next leader sends it.
            lost = proof.lost(&self.pool) => Err(lost),
        };
        // A stage that ends lets the stages beside it end: only a source that broke off leaves others at work.
        let grace = if read.is_ok() { self.config.stop_timeout() } else { Duration::ZERO };
        let rest = async { (joined(acknowledger).await, joined(sender).await) };
        match tokio::time::timeout(grace, rest).await {
            Ok((last, before)) => last.and(before).and(read),
            // What was sent and not acknowledged is found again on the partitions' ends.
            Err(_elapsed) => read,
        }
    }
}

/// Makes a restored log one of its own: topics emptied, a new incarnation, nothing published. Answers with it.
///
/// # Errors
/// [`LogError::RelayLeads`] while a relay is at work, [`LogError::Postgres`], [`LogError::Kafka`] and
/// [`LogError::Topic`] when a store is away or refuses. Repeating it is safe.
pub async fn recover(pool: &PgPool, kafka: &KafkaConfig) -> Result<Uuid, LogError> {
    // As leader, so that no relay writes to topics that are about to go.
    let leadership = Leadership::take(pool).await?.ok_or(LogError::RelayLeads)?;
    topic::recreate(kafka).await?;
    let incarnation = incarnation::renew(pool).await?;
    leadership.give_up().await?;
    Ok(incarnation)
}

/// What a stage answered; a panic goes on in whoever waits for it.
async fn joined(stage: AbortOnDropHandle<Result<(), LogError>>) -> Result<(), LogError> {
    match stage.await {
        Ok(outcome) => outcome,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_cancelled) => Ok(()),
    }
}

async fn sleep(shutdown: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shutdown.cancelled() => {}
    }
}
