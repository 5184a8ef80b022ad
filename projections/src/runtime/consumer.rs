//! The Kafka consumer of a worker: forms batches and hands them over, and stays in its group while they cannot be
//! written.

mod batch_pause;
mod fetch_settings;
mod forming_batch;
mod partition_assignment;
mod partitions;
mod rebalance_listener;
mod recent_end_offsets;
mod record_receiver;
mod stall_detector;

use std::{sync::Arc, time::Duration};

use domain::context::BoundedContext;
use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaError,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    fetch_settings::FetchSettings,
    forming_batch::{FormingBatch, FormingLimits},
    partitions::{base_client_config, to_partition_list},
    rebalance_listener::RebalanceListener,
    record_receiver::RecordReceiver,
    stall_detector::{StallDetector, TopicPartition},
};
pub(super) use self::{
    forming_batch::FetchedBatch,
    partition_assignment::{BatchSlot, NextOffsets, PartitionAssignment},
    partitions::{
        EndOffsets, PartitionCounts, commit_group_offsets, fetch_end_offsets, fetch_partition_counts, total_partitions,
    },
    recent_end_offsets::RecentEndOffsets,
    stall_detector::{ConsumerStall, StalledPartition},
};
use super::{
    BatchLimits, Checkpoint, ConsumerConfig, FetchStrategy, ReadModelGeneration, consumed_record::ConsumedRecord,
    worker_status::StatusWriter,
};

/// Time limit of [`BatchConsumer::close`]: the last commit, and leaving the group.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of a fetch response, in bytes; the broker still sends a single record that is larger.
const MAX_FETCH_BYTES: usize = 12 << 20;

/// Maximum size of one partition's records in a fetch response, in bytes.
const MAX_PARTITION_FETCH_BYTES: usize = 1 << 20;

/// The smallest fetch size that the client library accepts, in bytes.
const FETCH_BYTES_FLOOR: usize = 1 << 20;

/// Time between two commits of offsets: each costs the broker a record. The next owner of a partition consumes the
/// records since the last commit again, which changes nothing: the checkpoints say what is applied.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// Number of checks for silent partitions within `stall_after_ms`.
const STALL_CHECKS_PER_TIMEOUT: u32 = 3;

/// How old the end offsets of a check may be: older than the time between two measurements of the lag, which fetch them.
const RECENT_ENDS_AGE: Duration = Duration::from_secs(7);

/// How long the client has to return the broker: twice as long as it pauses at most between two attempts to connect.
const OWN_BROKER_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a full batch waits before the consumer pauses its partitions and polls again: it has to stay in its group.
/// Pausing drops what was fetched ahead.
const PAUSE_AFTER: Duration = Duration::from_secs(1);

/// Why [`BatchConsumer::hand_over_batches`] returns.
pub(super) enum FetchInterruption {
    /// A partition has delivered nothing, or none was assigned, for some time: the caller checks why.
    Silence,
    /// Shutdown was requested, or the receiver of batches was dropped.
    Stop,
}

/// What a consumer consumes, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConsumerSubscription {
    pub(super) name: &'static str,
    pub(super) generation: ReadModelGeneration,
    pub(super) contexts: &'static [BoundedContext],
    pub(super) limits: BatchLimits,
    pub(super) fetch: FetchStrategy,
}

/// Consumes for one generation of one projection.
pub(super) struct BatchConsumer {
    consumer: StreamConsumer<RebalanceListener>,
    receiver: RecordReceiver,
    config: ConsumerConfig,
    topics: Vec<String>,
    assignment: Arc<PartitionAssignment>,
    recent_ends: Arc<RecentEndOffsets>,
    /// The version of the assignment that the forming batch was checked with.
    checked_version: u64,
    stall_detector: StallDetector,
    next_stall_check: Instant,
    name: &'static str,
    subscription: ConsumerSubscription,
    status: StatusWriter,
    forming: FormingBatch,
    /// The shortest time between two batches that are not full.
    linger: Duration,
    /// Whether the partitions are paused because the forming batch is full.
    paused: bool,
    last_flush: Instant,
}

impl BatchConsumer {
    pub(super) fn open(
        subscription: ConsumerSubscription,
        config: &ConsumerConfig,
        status: &StatusWriter,
        assignment: &Arc<PartitionAssignment>,
        recent_ends: &Arc<RecentEndOffsets>,
    ) -> Result<Self, KafkaError> {
        let ConsumerSubscription { name, generation, contexts, limits, fetch } = subscription;
        // At most the queue's size, because the records of one response are held in addition to the queue.
        let fetch_bytes = config.queue_bytes.clamp(FETCH_BYTES_FLOOR, MAX_FETCH_BYTES);
        let FetchSettings { wait_ms, queued_records, pause_ms } = FetchSettings::new(fetch, limits, config);
        let consumer: StreamConsumer<RebalanceListener> = base_client_config(config)
            .set("group.id", config.group_id(name, generation))
            .set("client.id", format!("medhub-{name}-{generation}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            // Only applied records count as consumed.
            .set("enable.auto.offset.store", "false")
            // The partitions of a killed worker are reassigned after this time; 6 s is the least that brokers allow.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // Topics and partitions may appear later; the default is five minutes.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("queued.max.messages.kbytes", (config.queue_bytes / 1024).max(1).to_string())
            .set("fetch.message.max.bytes", (fetch_bytes / 8).min(MAX_PARTITION_FETCH_BYTES).to_string())
            .set("fetch.max.bytes", fetch_bytes.to_string())
            .set("fetch.wait.max.ms", wait_ms.to_string())
            .set("fetch.min.bytes", "1")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.min.messages", queued_records.to_string())
            .set("fetch.queue.backoff.ms", pause_ms.to_string())
            .create_with_context(RebalanceListener::new(name, status.clone(), Arc::clone(assignment)))?;
        let topics = config.topics(contexts);
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        let linger = config.linger(limits);
        let limits = FormingLimits { events: config.batch_events(limits), bytes: config.batch_bytes.max(1) };
        Ok(Self {
            consumer,
            receiver: RecordReceiver::new(name, status.clone()),
            config: config.clone(),
            topics,
            assignment: Arc::clone(assignment),
            recent_ends: Arc::clone(recent_ends),
            checked_version: assignment.version(),
            stall_detector: StallDetector::default(),
            next_stall_check: Instant::now() + config.stall_after() / STALL_CHECKS_PER_TIMEOUT,
            name,
            subscription,
            status: status.clone(),
            forming: FormingBatch::new(limits),
            linger,
            paused: false,
            last_flush: Instant::now(),
        })
    }

    /// Forms batches and hands them over, and commits the offsets of applied ones. A batch grows until the one before it
    /// is taken, so that it is small when there is little to do and large when there is much.
    pub(super) async fn hand_over_batches(
        &mut self,
        batches: &mpsc::Sender<FetchedBatch>,
        shutdown: &CancellationToken,
    ) -> FetchInterruption {
        loop {
            if self.should_check_stalls() {
                return FetchInterruption::Silence;
            }
            // Here, because a record may be ready each time.
            self.flush_due_offsets();
            let (due_at, full_since) = (self.forming.due_at(), self.forming.full_since());
            let is_due = due_at.is_some_and(|due_at| due_at <= Instant::now());
            let (flush_at, has_pending) = (self.last_flush + COMMIT_INTERVAL, self.assignment.has_pending_offsets());
            let stall_check_at = self.next_stall_check;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return FetchInterruption::Stop,
                () = batches.closed() => return FetchInterruption::Stop,
                record = self.receiver.receive(&self.consumer),
                    if full_since.is_none() || self.paused => self.collect(record),
                permit = self.assignment.wait_for_permit(), if is_due => {
                    let Some(permit) = permit else { return FetchInterruption::Stop };
                    self.hand_over(permit, batches);
                }
                () = sleep_until(due_at.unwrap_or(stall_check_at)), if due_at.is_some() && !is_due => {}
                () = sleep_until(full_since.unwrap_or(stall_check_at) + PAUSE_AFTER),
                    if full_since.is_some() && !self.paused => self.pause(),
                () = sleep_until(flush_at), if has_pending => {}
                () = self.assignment.wait_for_pending_offsets(), if !has_pending => {}
                () = sleep_until(stall_check_at) => {}
            }
        }
    }

    /// Adds a record and those that have arrived with it.
    fn collect(&mut self, first: ConsumedRecord) {
        let mut received = vec![];
        self.add_record(first, &mut received);
        while self.forming.full_since().is_none() {
            let Some(record) = self.receiver.take_queued(&self.consumer) else { break };
            self.add_record(record, &mut received);
        }
        let now = Instant::now().into_std();
        for (partition, next) in received {
            self.stall_detector.record_activity(partition, next, now);
        }
        if self.paused {
            // Partitions that were assigned meanwhile are not paused yet.
            self.pause();
        }
    }

    /// Adds a record, and the offset after it to `received`: one entry for each row of records of the same partition.
    fn add_record(&mut self, record: ConsumedRecord, received: &mut Vec<(TopicPartition, i64)>) {
        // Receiving a record may have changed the assignment.
        let version = self.assignment.version();
        if self.checked_version != version {
            self.checked_version = version;
            self.forming.drop_revoked(&self.assignment);
            // Records that were dropped have not been consumed.
            self.stall_detector.reset();
            received.clear();
        }
        let next = record.offset + 1;
        match received.last_mut() {
            Some(((topic, partition), last)) if *topic == record.topic && *partition == record.partition => {
                *last = next;
            }
            _ => received.push(((record.topic.clone(), record.partition), next)),
        }
        self.forming.push(record);
    }

    fn hand_over(&mut self, permit: OwnedSemaphorePermit, batches: &mpsc::Sender<FetchedBatch>) {
        let pause = self.assignment.pause_after_batch(self.linger);
        let (records, slot) = (self.forming.take(pause), self.assignment.open_slot(permit));
        if records.is_empty() {
            return;
        }
        // The channel has room for as many batches as there are slots. A receiver that is gone ends the consumer.
        drop(batches.try_send(FetchedBatch { records, assignment_version: self.checked_version, slot }));
        self.resume();
    }

    /// Whether a check is due, and a partition has been silent or none was assigned for `stall_after_ms`.
    fn should_check_stalls(&mut self) -> bool {
        let (now, stall_after) = (Instant::now(), self.config.stall_after());
        if now < self.next_stall_check {
            return false;
        }
        self.next_stall_check = now + stall_after / STALL_CHECKS_PER_TIMEOUT;
        let waits_for_slot =
            self.forming.due_at().is_some_and(|due_at| due_at + PAUSE_AFTER <= now) && !self.assignment.has_free_slot();
        if self.paused || waits_for_slot {
            // The store does not answer, and the time without records starts again.
            self.stall_detector.reset();
            return false;
        }
        let Ok(assigned) = self.consumer.assignment() else { return false };
        let partitions: Vec<_> =
            assigned.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        self.stall_detector.set_assignment(&partitions, now.into_std());
        self.stall_detector.is_silent(stall_after, now.into_std())
    }

    /// Finds an assigned partition that has had records after `checkpoint` in two checks and has delivered none for
    /// `stall_after_ms`; or, if none was assigned for that time, finds out whether this client has lost the broker.
    ///
    /// # Errors
    /// When the broker does not return the end offsets.
    pub(super) async fn find_stall(&mut self, checkpoint: &Checkpoint) -> Result<Option<ConsumerStall>, KafkaError> {
        let (stall_after, now) = (self.config.stall_after(), Instant::now().into_std());
        let is_unassigned = self.stall_detector.take_unassigned(stall_after, now);
        if is_unassigned && self.finds_broker() {
            return Ok(None);
        }
        // End offsets from before an outage may be recent, too: a stall that they show began before it.
        let max_age = RECENT_ENDS_AGE.min(stall_after / STALL_CHECKS_PER_TIMEOUT);
        let since = now.checked_sub(max_age).unwrap_or(now);
        let recent = self.recent_ends.find(&self.topics, since).filter(|_| !is_unassigned);
        let ends = if let Some(ends) = recent {
            ends
        } else {
            // By a new client: while the broker is away, nothing is stalled.
            let ends = fetch_end_offsets(&self.config, self.topics.clone()).await?;
            self.recent_ends.record(&ends, now);
            ends
        };
        if is_unassigned {
            return Ok(Some(ConsumerStall::LostBroker));
        }
        let checkpoint_offset =
            |partition: &(String, i32)| checkpoint.0.get(partition).map_or(0, |applied| applied.next_offset);
        let stalled = self.stall_detector.take_stalled(&ends, checkpoint_offset, stall_after, now);
        Ok(stalled.map(ConsumerStall::Partition))
    }

    /// Whether this client finds a broker. Blocks the thread of the fetching stage for up to [`OWN_BROKER_TIMEOUT`].
    fn finds_broker(&self) -> bool {
        let topic = self.topics.first().map(String::as_str);
        let metadata = self.consumer.fetch_metadata(topic, OWN_BROKER_TIMEOUT);
        metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// Leaves the group and rejoins it with a new client.
    ///
    /// # Errors
    /// When the new client cannot be created; the old one is closed by then.
    pub(super) async fn rejoin_group(self) -> Result<Self, KafkaError> {
        let (subscription, config, status) = (self.subscription, self.config.clone(), self.status.clone());
        let (assignment, recent_ends) = (Arc::clone(&self.assignment), Arc::clone(&self.recent_ends));
        let mut stall_detector = self.close().await;
        stall_detector.reset();
        let opened = Self::open(subscription, &config, &status, &assignment, &recent_ends)?;
        Ok(Self { stall_detector, ..opened })
    }

    fn flush_due_offsets(&mut self) {
        if self.last_flush.elapsed() < COMMIT_INTERVAL || !self.assignment.has_pending_offsets() {
            return;
        }
        let pending = self.assignment.take_pending_offsets();
        self.last_flush = Instant::now();
        // After a failed commit, events may be consumed again, which changes nothing.
        if let Err(error) =
            to_partition_list(&pending).and_then(|offsets| self.consumer.commit(&offsets, CommitMode::Async))
        {
            tracing::debug!(projection.name = self.name, error = %error, "committing offsets failed");
        }
    }

    /// Commits synchronously and leaves the group, within [`CLOSE_TIMEOUT`]. Returns the stall detector.
    pub(super) async fn close(self) -> StallDetector {
        let Self { consumer, assignment, name, stall_detector, .. } = self;
        let closing = tokio::task::spawn_blocking(move || {
            let offsets = assignment.applied_offsets();
            if !offsets.is_empty()
                && let Err(error) =
                    to_partition_list(&offsets).and_then(|list| consumer.commit(&list, CommitMode::Sync))
            {
                tracing::warn!(projection.name = name, error = %error, "committing the last offsets failed");
            }
            drop(consumer);
        });
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!(projection.name = name, "timed out while leaving the consumer group");
        }
        stall_detector
    }

    fn pause(&mut self) {
        self.paused = true;
        self.update_assignment("pausing", Consumer::pause);
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.update_assignment("resuming", Consumer::resume);
        }
    }

    fn update_assignment(
        &self,
        operation: &'static str,
        action: impl Fn(&StreamConsumer<RebalanceListener>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        let outcome = self.consumer.assignment().and_then(|partitions| action(&self.consumer, &partitions));
        if let Err(error) = outcome {
            tracing::warn!(projection.name = self.name, error = %error, "{operation} partitions failed");
        }
    }
}
