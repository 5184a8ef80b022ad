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

mod acknowledge;
mod checkpoint;
mod config;
mod delivery;
mod end;
mod metric;
mod open_append;
mod partition;
mod progress;
mod publisher;
mod pulse;
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
use self::{acknowledge::Acknowledger, publisher::Publisher, send::Sender, source::Source};
pub use self::{
    config::RelayConfig,
    open_append::OpenAppend,
    progress::{RelayProgress, progress},
    status::RelayStatus,
};
use crate::{
    error::{LogError, chain},
    incarnation,
    lease::{Lease, LeaseAttempt},
    postgres::{connect, within},
    topic::{self, KafkaConfig},
};

/// Batches that are read while the one before is being encoded.
const READ_AHEAD: usize = 2;

/// What the connection that reads the log for Kafka calls itself.
const APPLICATION: &str = "medhub relay";

/// The lease of whoever leads.
pub(crate) const LEASE: &str = "relay";

/// The shortest pause between two tries to lead.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

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
        let instance = Uuid::new_v4();
        let pulse = tokio::spawn(pulse::beat(self.pool.clone(), self.status(), instance));
        let pulse = AbortOnDropHandle::new(pulse);
        while !shutdown.is_cancelled() {
            let pause = match self.lead(&shutdown).await {
                Ok(left) => {
                    self.status.send_modify(|status| status.last_error = None);
                    // Whoever leads may be dead: its lease is over then.
                    left.map_or(self.config.retry(), |left| left.clamp(SHORTEST_PAUSE, self.config.retry()))
                }
                Err(error) => self.failed(&error),
            };
            self.status.send_modify(RelayStatus::stand_back);
            metric::leading(false);
            sleep(&shutdown, pause).await;
        }
        drop(pulse);
        pulse::leave(&self.pool, instance).await;
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
        let is_about_an_event = error.is_about_an_event();
        self.status.send_modify(|status| {
            (status.last_error, status.is_about_an_event) = (Some(text), is_about_an_event);
        });
        pause
    }

    /// Tries to lead; publishes until told to stop or until something breaks. When another relay leads, answers for how
    /// long its lease is.
    async fn lead(&self, shutdown: &CancellationToken) -> Result<Option<Duration>, LogError> {
        match Lease::take(&self.pool, LEASE, self.config.lease()).await? {
            LeaseAttempt::Mine(lease) => {
                let outcome = self.publish(&lease, shutdown).await;
                // After everything that it was needed for.
                lease.give_back().await;
                match outcome {
                    Ok(()) => Ok(None),
                    Err(error) => Err(self.explained(error).await),
                }
            }
            LeaseAttempt::HeldFor(left) => Ok(Some(left)),
        }
    }

    /// What is behind a failure: a topic that refuses records may have become a compacted one meanwhile.
    async fn explained(&self, error: LogError) -> LogError {
        if !error.refuses_a_record() {
            return error;
        }
        match topic::check_policies(&self.kafka).await {
            Err(compacted @ LogError::Compacted { .. }) => compacted,
            Ok(()) | Err(_) => error,
        }
    }

    async fn publish(&self, lease: &Lease, shutdown: &CancellationToken) -> Result<(), LogError> {
        let (mut connection, epoch) = (connect(&self.pool, APPLICATION).await?, lease.epoch());
        let (incarnation, position) = within(self.config.answer(), "reading the relay's checkpoint", async {
            let incarnation = incarnation::of(&mut connection).await?;
            Ok((incarnation, checkpoint::load(&mut connection, incarnation, epoch).await?))
        })
        .await?;
        let (ends, ()) = tokio::try_join!(end::read(&self.kafka), topic::check_policies(&self.kafka))?;
        let verifying = end::verify(&mut connection, incarnation, &ends);
        within(self.config.answer(), "looking for the events that the topics end with", verifying).await?;
        let publisher = Publisher::new(&self.kafka, incarnation, ends)?;
        tracing::info!(relay.position = position, relay.epoch = epoch, log.incarnation = %incarnation, "relay leads");
        metric::leading(true);
        self.status.send_modify(|status| *status = RelayStatus::leading_from(position, status));

        let mut source = Source::new(connection, &self.config, position)?;
        let (batches, to_send) = mpsc::channel(READ_AHEAD);
        // Events are what is counted: a log that trickles makes many small batches.
        let (sent, to_acknowledge) = mpsc::unbounded_channel();
        let (saved, checkpoint) = watch::channel(position);
        let term = lease.term();
        let sender = Sender::new(publisher, self.registry.clone(), &self.config, checkpoint, term.clone());
        let sender = AbortOnDropHandle::new(tokio::spawn(sender.run(to_send, sent)));
        let (pool, status) = (self.pool.clone(), self.status.clone());
        let acknowledger = Acknowledger::new(pool, (incarnation, epoch), self.config.answer(), status, saved);
        let acknowledger = AbortOnDropHandle::new(tokio::spawn(acknowledger.run(to_acknowledge)));
        let watch = open_append::watch(self.pool.clone(), self.status.clone(), self.config.slow_append());
        let _watch = AbortOnDropHandle::new(tokio::spawn(watch));

        let read = tokio::select! {
            read = source.run(batches, shutdown) => read,
            // What still waits for Kafka is taken back: the next leader sends it.
            lost = term.clone().lost() => Err(lost),
        };
        // A stage that ends lets the stages beside it end. What was sent is awaited for as long as nobody else leads.
        let grace = if read.is_ok() { self.config.stop_timeout() } else { self.config.stop_timeout().min(term.left()) };
        let rest = async { (joined(acknowledger).await, joined(sender).await) };
        tokio::select! {
            rest = tokio::time::timeout(grace, rest) => match rest {
                Ok((last, before)) => last.and(before).and(read),
                // What was sent and not acknowledged is found again on the partitions' ends.
                Err(_elapsed) => read,
            },
            lost = term.clone().lost() => read.and(Err(lost)),
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
    let lease = lead_alone(pool).await?;
    let term = lease.term();
    let recovered = async {
        topic::recreate(kafka).await?;
        if !term.is_current() {
            return Err(LogError::LostLead);
        }
        incarnation::renew(pool).await
    };
    let recovered = recovered.await;
    lease.give_back().await;
    recovered
}

/// Takes the lead, unless a relay is alive: the lease of one that was killed ends by itself.
async fn lead_alone(pool: &PgPool) -> Result<Lease, LogError> {
    let time = RelayConfig::default().lease();
    let left = match Lease::take(pool, LEASE, time).await? {
        LeaseAttempt::Mine(lease) => return Ok(lease),
        LeaseAttempt::HeldFor(left) => left,
    };
    tokio::time::sleep(left + SHORTEST_PAUSE).await;
    match Lease::take(pool, LEASE, time).await? {
        LeaseAttempt::Mine(lease) => Ok(lease),
        LeaseAttempt::HeldFor(_) => Err(LogError::RelayLeads),
    }
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
