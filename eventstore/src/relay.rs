//! The relay: carries every event of the log to Kafka, in order, at least once.
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
//! One relay leads, by a lease that it renews (the module `lease`): it hands nothing to Kafka once its term may be over,
//! and moves the checkpoint under its epoch, which a leader of yesterday cannot. After a crash the checkpoint is behind
//! what Kafka has; the leader then looks at the last record of every partition and leaves out what is there already,
//! because within a partition positions only grow. Every stage waits for the next one, so a Kafka that is away holds the
//! relay still at a bounded number of events, and it goes on by itself.

mod acknowledgement_tracker;
mod checkpoint;
mod config;
mod heartbeat;
mod kafka_publisher;
mod log_source;
mod open_append;
mod partition_state;
mod pending_deliveries;
mod progress;
mod published_ends;
mod record_encoder;
mod record_sender;
mod relay_metrics;
mod status;

use std::time::Duration;

use schemas::registry_client::SchemaRegistryClient;
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

pub(crate) use self::published_ends::read_partition_ends as partition_ends;
use self::{
    acknowledgement_tracker::AcknowledgementTracker, kafka_publisher::KafkaPublisher, log_source::LogSource,
    record_sender::RecordSender,
};
pub use self::{
    config::RelayConfig,
    open_append::OpenAppend,
    progress::{RelayProgress, load_progress},
    status::RelayStatus,
};
use crate::{
    error::{LogError, format_error_chain},
    incarnation,
    lease::{Lease, LeaseAttempt},
    postgres::{connect, with_timeout},
    topic::{self, KafkaConfig},
};

/// Batches that are read while the one before is being encoded.
const READ_AHEAD: usize = 2;

/// What the connection that reads the log for Kafka calls itself.
const APPLICATION_NAME: &str = "medhub relay";

/// The lease of whoever leads.
pub(crate) const LEASE_NAME: &str = "relay";

/// The shortest pause between two tries to lead.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Carries the log to Kafka.
pub struct Relay {
    pool: PgPool,
    kafka: KafkaConfig,
    registry: SchemaRegistryClient,
    config: RelayConfig,
    status: watch::Sender<RelayStatus>,
}

impl Relay {
    /// A relay from the log behind `pool` to the brokers of `kafka`, with the schemas of `registry`.
    pub fn new(pool: PgPool, kafka: KafkaConfig, registry: SchemaRegistryClient, config: RelayConfig) -> Self {
        Self { pool, kafka, registry, config, status: watch::Sender::new(RelayStatus::default()) }
    }

    /// Follows what the relay is doing.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Works until `shutdown`; then what was sent is awaited for a moment, so that the next leader finds a checkpoint
    /// that is true. Failures are logged, kept in the status, and tried again after a pause.
    pub async fn run(self, shutdown: CancellationToken) {
        relay_metrics::describe_metrics();
        let instance = Uuid::new_v4();
        let pulse = tokio::spawn(heartbeat::send_heartbeats(self.pool.clone(), self.status(), instance));
        let pulse = AbortOnDropHandle::new(pulse);
        while !shutdown.is_cancelled() {
            let pause = match self.try_lead(&shutdown).await {
                Ok(left) => {
                    self.status.send_modify(|status| status.last_error = None);
                    // Whoever leads may be dead: its lease is over then.
                    left.map_or(self.config.retry_delay(), |left| {
                        left.clamp(MIN_RETRY_DELAY, self.config.retry_delay())
                    })
                }
                Err(error) => self.record_failure(&error),
            };
            self.status.send_modify(RelayStatus::step_down);
            relay_metrics::set_leading(false);
            sleep_or_shutdown(&shutdown, pause).await;
        }
        drop(pulse);
        heartbeat::remove_instance(&self.pool, instance).await;
        tracing::info!(relay.position = self.status.borrow().position, "relay stopped");
    }

    /// Says why it failed and how long to wait: an event that cannot be published will not change by itself, and
    /// another relay, perhaps of a newer release that knows the event, shall have its turn.
    fn record_failure(&self, error: &LogError) -> Duration {
        let pause = if error.is_event_error() { self.config.poison_retry_delay() } else { self.config.retry_delay() };
        let text = format_error_chain(error);
        let known = self.status.borrow().last_error.as_ref() == Some(&text);
        if !known {
            let retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(error = text, retry_ms, "relay cannot work, trying again");
        }
        let is_about_an_event = error.is_event_error();
        self.status.send_modify(|status| {
            (status.last_error, status.is_event_error) = (Some(text), is_about_an_event);
        });
        pause
    }

    /// Tries to lead; publishes until told to stop or until something breaks. When another relay leads, answers for how
    /// long its lease is.
    async fn try_lead(&self, shutdown: &CancellationToken) -> Result<Option<Duration>, LogError> {
        match Lease::try_acquire(&self.pool, LEASE_NAME, self.config.lease_duration()).await? {
            LeaseAttempt::Acquired(lease) => {
                let outcome = self.publish(&lease, shutdown).await;
                // After everything that it was needed for.
                lease.release().await;
                match outcome {
                    Ok(()) => Ok(None),
                    Err(error) => Err(self.explain_error(error).await),
                }
            }
            LeaseAttempt::HeldByOther(left) => Ok(Some(left)),
        }
    }

    /// What is behind a failure: a topic that refuses records may have become a compacted one meanwhile.
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
        let (ends, ()) = tokio::try_join!(
            published_ends::read_partition_ends(&self.kafka),
            topic::check_cleanup_policies(&self.kafka)
        )?;
        let verifying = published_ends::check_partition_ends(&mut connection, incarnation, &ends);
        with_timeout(self.config.answer_timeout(), "looking for the events that the topics end with", verifying)
            .await?;
        let publisher = KafkaPublisher::new(&self.kafka, incarnation, ends)?;
        tracing::info!(relay.position = position, relay.epoch = epoch, log.incarnation = %incarnation, "relay leads");
        relay_metrics::set_leading(true);
        self.status.send_modify(|status| *status = RelayStatus::leading_from(position, status));

        let mut source = LogSource::new(connection, &self.config, position)?;
        let (batches, to_send) = mpsc::channel(READ_AHEAD);
        // Events are what is counted: a log that trickles makes many small batches.
        let (sent, to_acknowledge) = mpsc::unbounded_channel();
        let (saved, checkpoint) = watch::channel(position);
        let term = lease.term();
        let sender = RecordSender::new(publisher, self.registry.clone(), &self.config, checkpoint, term.clone());
        let sender = AbortOnDropHandle::new(tokio::spawn(sender.run(to_send, sent)));
        let (pool, status) = (self.pool.clone(), self.status.clone());
        let acknowledger =
            AcknowledgementTracker::new(pool, (incarnation, epoch), self.config.answer_timeout(), status, saved);
        let acknowledger = AbortOnDropHandle::new(tokio::spawn(acknowledger.run(to_acknowledge)));
        let watch = open_append::watch_open_appends(
            self.pool.clone(),
            self.status.clone(),
            self.config.slow_append_threshold(),
        );
        let _watch = AbortOnDropHandle::new(tokio::spawn(watch));

        let read = tokio::select! {
            read = source.run(batches, shutdown) => read,
            // What still waits for Kafka is taken back: the next leader sends it.
            lost = term.clone().wait_until_lost() => Err(lost),
        };
        // A stage that ends lets the stages beside it end. What was sent is awaited for as long as nobody else leads.
        let grace =
            if read.is_ok() { self.config.stop_timeout() } else { self.config.stop_timeout().min(term.remaining()) };
        let rest = async { (join_stage(acknowledger).await, join_stage(sender).await) };
        tokio::select! {
            rest = tokio::time::timeout(grace, rest) => match rest {
                Ok((last, before)) => last.and(before).and(read),
                // What was sent and not acknowledged is found again on the partitions' ends.
                Err(_elapsed) => read,
            },
            lost = term.clone().wait_until_lost() => read.and(Err(lost)),
        }
    }
}

/// Makes a restored log one of its own: topics emptied, a new incarnation, nothing published. Answers with it.
///
/// # Errors
/// [`LogError::RelayRunning`] while a relay is at work, [`LogError::Postgres`], [`LogError::Kafka`] and
/// [`LogError::Topic`] when a store is away or refuses. Repeating it is safe.
pub async fn recover_log(pool: &PgPool, kafka: &KafkaConfig) -> Result<Uuid, LogError> {
    // As leader, so that no relay writes to topics that are about to go.
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

/// Takes the lead, unless a relay is alive: the lease of one that was killed ends by itself.
async fn acquire_leadership(pool: &PgPool) -> Result<Lease, LogError> {
    let time = RelayConfig::default().lease_duration();
    let left = match Lease::try_acquire(pool, LEASE_NAME, time).await? {
        LeaseAttempt::Acquired(lease) => return Ok(lease),
        LeaseAttempt::HeldByOther(left) => left,
    };
    tokio::time::sleep(left + MIN_RETRY_DELAY).await;
    match Lease::try_acquire(pool, LEASE_NAME, time).await? {
        LeaseAttempt::Acquired(lease) => Ok(lease),
        LeaseAttempt::HeldByOther(_) => Err(LogError::RelayRunning),
    }
}

/// What a stage answered; a panic goes on in whoever waits for it.
async fn join_stage(stage: AbortOnDropHandle<Result<(), LogError>>) -> Result<(), LogError> {
    match stage.await {
        Ok(outcome) => outcome,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_cancelled) => Ok(()),
    }
}

async fn sleep_or_shutdown(shutdown: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shutdown.cancelled() => {}
    }
}
