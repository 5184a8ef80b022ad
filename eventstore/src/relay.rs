//! The relay: publishes every event of the log to Kafka, in order. After a crash it resumes after the last record of each
//! partition, so that no event is repeated (ADR 5).
//!
//! ```text
//! Standby ──lease─▶ Resuming ──ends read──▶ Publishing ──┐
//!    ▲                                         │   ▲     │ acknowledged:
//!    └───── lease, database or broker lost ────┘   └─────┘ move the checkpoint
//!
//! Publishing:  source ──batches──▶ sender ──sent──▶ acknowledger
//!              fence, read         encode,          await Kafka,
//!                                  produce,         move the checkpoint
//!                                  beacons
//! ```
//!
//! One relay leads, by a lease that it renews (module `lease`). It sends nothing to Kafka once its term may be over, and no event
//! before every partition has a beacon of it (ADR 10).
//! It moves the checkpoint under its epoch; an earlier leader has a lower epoch and cannot move it. After a crash the
//! checkpoint may be behind Kafka. Positions only grow within a partition, so the next leader reads the last record of
//! every partition and skips the events up to it. If a former leader resumed and sent that record late, the checkpoint
//! shows that the partition has more. Every stage waits for the next one, so while Kafka is unavailable the relay holds a
//! bounded number of events, and it resumes without intervention.

mod acknowledgement_tracker;
mod broker_connection;
mod checkpoint;
mod config;
mod heartbeat;
mod kafka_publisher;
mod lag_monitor;
mod log_source;
mod open_append;
mod partition_state;
mod pending_deliveries;
mod polled_producer;
mod progress;
mod record_encoder;
mod record_sender;
mod relay_metrics;
mod resume_point;
mod status;

use std::time::Duration;

use domain::error_chain::format_error_chain;
use schemas::{catalog::EventSchema, registry_client::SchemaRegistryClient};
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

pub(crate) use self::resume_point::read_published_progress;
use self::{
    acknowledgement_tracker::AcknowledgementTracker, kafka_publisher::KafkaPublisher, log_source::LogSource,
    polled_producer::PolledProducer, record_encoder::RecordEncoder, record_sender::RecordSender,
    relay_metrics::LeaderGauges,
};
pub use self::{
    config::RelayConfig,
    open_append::OpenAppend,
    progress::{RelayProgress, load_progress},
    status::RelayStatus,
};
use crate::{
    error::LogError,
    incarnation,
    lease::{Lease, LeaseAttempt},
    postgres::{connect, with_timeout},
    topic::{self, KafkaConfig},
};

/// Number of batches that are read ahead of the one that is being encoded.
const READ_AHEAD: usize = 2;

/// `application_name` of the connection that reads the log.
const APPLICATION_NAME: &str = "medhub relay";

/// Connections of a relay that leads: one reads the log, one renews the lease, one is woken by appends.
pub const RELAY_CONNECTIONS: usize = 3;

/// Name of the leader's lease.
pub(crate) const LEASE_NAME: &str = "relay";

/// Minimum pause between two attempts to lead.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Publishes the log to Kafka.
pub struct Relay {
    pool: PgPool,
    kafka: KafkaConfig,
    registry: SchemaRegistryClient,
    schemas: &'static [EventSchema],
    config: RelayConfig,
    status: watch::Sender<RelayStatus>,
}

impl Relay {
    /// Creates a relay from the log in the database of `pool` to the brokers of `kafka`. It publishes events that have one of
    /// `schemas`, with its id in `registry`.
    pub fn new(
        pool: PgPool,
        kafka: KafkaConfig,
        registry: SchemaRegistryClient,
        schemas: &'static [EventSchema],
        config: RelayConfig,
    ) -> Self {
        Self { pool, kafka, registry, schemas, config, status: watch::Sender::new(RelayStatus::default()) }
    }

    /// Subscribes to the relay's status.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Runs until `shutdown`, and then waits a limited time for the acknowledgement of what was sent, so that the next
    /// leader finds an accurate checkpoint. Failures are logged, shown in the status, and retried after a pause.
    pub async fn run(self, shutdown: CancellationToken) {
        let instance = Uuid::new_v4();
        let heartbeats = tokio::spawn(heartbeat::send_heartbeats(self.pool.clone(), self.status(), instance));
        let heartbeats = AbortOnDropHandle::new(heartbeats);
        let _lag = AbortOnDropHandle::new(tokio::spawn(lag_monitor::monitor_lag(self.pool.clone())));
        relay_metrics::set_leading(false);
        while !shutdown.is_cancelled() {
            let pause = match self.try_lead(&shutdown).await {
                Ok(lease_expires_in) => {
                    self.status.send_modify(|status| status.last_error = None);
                    // Retries when the leader's lease expires, in case the leader has died.
                    lease_expires_in.map_or(self.config.retry_delay(), |expires_in| {
                        expires_in.clamp(MIN_RETRY_DELAY, self.config.retry_delay())
                    })
                }
                Err(error) => self.record_failure(&error),
            };
            self.status.send_modify(RelayStatus::step_down);
            sleep_or_shutdown(&shutdown, pause).await;
        }
        drop(heartbeats);
        heartbeat::remove_instance(&self.pool, instance).await;
        tracing::info!(relay.position = self.status.borrow().position, "relay stopped");
    }

    /// Logs a failure and returns the pause before the next attempt. The pause is longer after an event that cannot be
    /// published: the event does not change, and during the pause another relay, perhaps of a release that can publish
    /// it, can take the lead.
    fn record_failure(&self, error: &LogError) -> Duration {
        let pause = if error.is_event_error() { self.config.poison_retry_delay() } else { self.config.retry_delay() };
        let text = format_error_chain(error);
        let is_repeated = self.status.borrow().last_error.as_ref() == Some(&text);
        if !is_repeated {
            let retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(error = text, retry_ms, "relay failed, retrying");
        }
        let is_event_error = error.is_event_error();
        self.status.send_modify(|status| {
            (status.last_error, status.is_event_error) = (Some(text), is_event_error);
        });
        pause
    }

    /// Tries to lead, and then publishes until shutdown or a failure. When another relay leads, returns the time until
    /// its lease expires.
    async fn try_lead(&self, shutdown: &CancellationToken) -> Result<Option<Duration>, LogError> {
        match Lease::try_acquire(&self.pool, LEASE_NAME, self.config.lease_duration()).await? {
            LeaseAttempt::Acquired(lease) => {
                let outcome = self.publish(&lease, shutdown).await;
                // Released last, since publishing requires the lease.
                lease.release().await;
                match outcome {
                    Ok(()) => Ok(None),
                    Err(error) => Err(self.explain_error(error).await),
                }
            }
            LeaseAttempt::HeldByOther(expires_in) => Ok(Some(expires_in)),
        }
    }

    /// Replaces the error of a refused record by its cause if that is known: the topic's cleanup policy may have been
    /// changed to `compact`.
    async fn explain_error(&self, error: LogError) -> LogError {
        if !error.is_record_refusal() {
            return error;
        }
        match topic::check_cleanup_policies(&self.kafka).await {
            Err(compacted @ LogError::Compacted { .. }) => compacted,
            Ok(()) | Err(_) => error,
        }
    }

    async fn publish(&self, lease: &Lease, shutdown: &CancellationToken) -> Result<(), LogError> {
        let (mut connection, epoch) = (connect(&self.pool, APPLICATION_NAME).await?, lease.epoch());
        let (incarnation, position) =
            with_timeout(self.config.answer_timeout(), "reading the relay's checkpoint", async {
                let incarnation = incarnation::load_incarnation(&mut connection).await?;
                Ok((incarnation, checkpoint::load_checkpoint(&mut connection, incarnation, epoch).await?))
            })
            .await?;
        // Connects, and gets the id of an idempotent producer, while the ends of the partitions are read.
        let producer = PolledProducer::start(&self.kafka)?;
        let (mut ends, ()) =
            tokio::try_join!(read_published_progress(&self.kafka), topic::check_cleanup_policies(&self.kafka))?;
        let verifying = resume_point::check_published_progress(&mut connection, incarnation, &ends);
        with_timeout(self.config.answer_timeout(), "checking the events that the topics end with", verifying).await?;
        let (term, answer_timeout) = (lease.term(), self.config.answer_timeout());
        let advancing =
            resume_point::advance_to_checkpoint(&self.pool, &self.kafka, answer_timeout, position, &mut ends);
        // Reads the log, perhaps much of it.
        let late_ends = tokio::select! {
            advanced = advancing => advanced?,
            () = shutdown.cancelled() => return Ok(()),
            lost = term.clone().wait_until_lost() => return Err(lost),
        };
        let publisher = KafkaPublisher::new(producer, &self.kafka, incarnation, ends);
        tracing::info!(relay.position = position, relay.epoch = epoch, log.incarnation = %incarnation, "relay leads");
        let _gauges = LeaderGauges::start();
        self.status.send_modify(|status| *status = RelayStatus::leading_from(position, status));

        let mut source = LogSource::new(connection, &self.pool, &self.config, position)?;
        let (batches, to_send) = mpsc::channel(READ_AHEAD);
        // Unbounded: permits already bound the events in flight, and these may be in many small batches.
        let (sent, to_acknowledge) = mpsc::unbounded_channel();
        let (checkpoint_sender, checkpoint) = watch::channel(position);
        let connection = publisher.broker_connection(&self.kafka);
        let encoder = RecordEncoder::new(self.registry.clone(), self.schemas);
        let sender = RecordSender::new(publisher, encoder, &self.config, checkpoint, term.clone());
        if late_ends > 0 {
            tracing::warn!(
                kafka.partitions = late_ends,
                "partitions end with a former leader's records, or lost newer ones"
            );
        }
        let sender = AbortOnDropHandle::new(tokio::spawn(sender.run(to_send, sent)));
        let (pool, status) = (self.pool.clone(), self.status.clone());
        let acknowledger = AcknowledgementTracker::new(
            pool,
            (incarnation, epoch),
            self.config.answer_timeout(),
            connection,
            status,
            checkpoint_sender,
        );
        let acknowledger = AbortOnDropHandle::new(tokio::spawn(acknowledger.run(to_acknowledge)));
        let watch = open_append::watch_open_appends(
            self.pool.clone(),
            self.status.clone(),
            self.config.slow_append_threshold(),
        );
        let _watch = AbortOnDropHandle::new(tokio::spawn(watch));

        let read = tokio::select! {
            read = source.run(batches, shutdown) => read,
            // Records that Kafka has not acknowledged are purged; the next leader sends them.
            lost = term.clone().wait_until_lost() => Err(lost),
        };
        // A stage that ends makes its neighbours end. Acknowledgements are awaited only as long as no other relay can
        // lead.
        let time_limit =
            if read.is_ok() { self.config.stop_timeout() } else { self.config.stop_timeout().min(term.remaining()) };
        let stages = async { (join_stage(acknowledger).await, join_stage(sender).await) };
        tokio::select! {
            ended = tokio::time::timeout(time_limit, stages) => match ended {
                Ok((tracked, sent)) => tracked.and(sent).and(read),
                // The next leader learns from the partitions' ends which records have arrived.
                Err(_elapsed) => read,
            },
            lost = term.clone().wait_until_lost() => read.and(Err(lost)),
        }
    }
}

/// Prepares a restored log for publishing: empties the topics and gives the log a new incarnation, without a
/// checkpoint. Returns the new incarnation. Safe to repeat.
///
/// # Errors
/// [`LogError::RelayRunning`] while a relay is running, [`LogError::LeadershipLost`] when the lease expires meanwhile,
/// [`LogError::Postgres`], [`LogError::Kafka`] and [`LogError::Topic`] when Postgres or Kafka is unavailable or
/// refuses.
pub async fn recover_log(pool: &PgPool, kafka: &KafkaConfig) -> Result<Uuid, LogError> {
    // As leader, so that no relay writes to topics that are being deleted.
    let lease = acquire_leadership(pool).await?;
    let term = lease.term();
    let recovered = async {
        topic::recreate_topics(kafka).await?;
        if !term.is_current() {
            return Err(LogError::LeadershipLost);
        }
        incarnation::renew_incarnation(pool).await
    };
    let recovered = recovered.await;
    lease.release().await;
    recovered
}

/// Acquires the relay's lease. If it is held, waits until it would expire and tries once more: the lease of a relay
/// that was killed expires, and a running relay renews its own.
async fn acquire_leadership(pool: &PgPool) -> Result<Lease, LogError> {
    let term_duration = RelayConfig::default().lease_duration();
    let expires_in = match Lease::try_acquire(pool, LEASE_NAME, term_duration).await? {
        LeaseAttempt::Acquired(lease) => return Ok(lease),
        LeaseAttempt::HeldByOther(expires_in) => expires_in,
    };
    tokio::time::sleep(expires_in + MIN_RETRY_DELAY).await;
    match Lease::try_acquire(pool, LEASE_NAME, term_duration).await? {
        LeaseAttempt::Acquired(lease) => Ok(lease),
        LeaseAttempt::HeldByOther(_) => Err(LogError::RelayRunning),
    }
}

/// Waits for a stage and returns its result; a panic of the stage is resumed here.
async fn join_stage(stage: AbortOnDropHandle<Result<(), LogError>>) -> Result<(), LogError> {
    match stage.await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_cancelled) => Ok(()),
    }
}

async fn sleep_or_shutdown(shutdown: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shutdown.cancelled() => {}
    }
}
