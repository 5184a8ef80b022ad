//! The Kafka consumer of a worker: returns batches, and stays in its group while the worker waits.

mod partitions;
mod rebalance_listener;
mod stall_detector;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::context::BoundedContext;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaError,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub(super) use self::{
    partitions::{
        EndOffsets, PartitionCounts, commit_group_offsets, fetch_end_offsets, fetch_partition_counts, total_partitions,
    },
    stall_detector::StalledPartition,
};
use self::{rebalance_listener::RebalanceListener, stall_detector::StallDetector};
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

/// How long the broker waits for an event with [`FetchStrategy::AtOnce`], in milliseconds.
const IDLE_FETCH_WAIT_MS: u64 = 500;

/// Number of checks for silent partitions within `stall_after_ms`.
const STALL_CHECKS_PER_TIMEOUT: u32 = 3;

/// The outcome of waiting for a batch.
pub(super) enum NextBatch {
    /// Records, at least one.
    Batch(Vec<ConsumedRecord>),
    /// A partition has delivered nothing for some time: the caller checks whether it is stalled.
    Idle,
    /// Shutdown was requested.
    Stop,
}

/// Consumes for one generation of one projection.
pub(super) struct BatchConsumer {
    consumer: Arc<StreamConsumer<RebalanceListener>>,
    config: ConsumerConfig,
    topics: Vec<String>,
    stall_detector: StallDetector,
    next_stall_check: Instant,
    name: &'static str,
    status: StatusWriter,
    batch_events: usize,
    batch_bytes: usize,
    linger: Duration,
    /// Records that arrived while the worker waited.
    buffered: VecDeque<ConsumedRecord>,
    paused: bool,
    fetch: FetchStrategy,
    /// The offset after the last applied record of each partition.
    applied_offsets: BTreeMap<(String, i32), i64>,
    /// The applied offsets that are not committed yet.
    pending_offsets: BTreeMap<(String, i32), i64>,
    last_flush: Instant,
}

impl BatchConsumer {
    pub(super) fn open(
        name: &'static str,
        generation: ReadModelGeneration,
        contexts: &[BoundedContext],
        limits: BatchLimits,
        fetch: FetchStrategy,
        config: &ConsumerConfig,
        status: &StatusWriter,
    ) -> Result<Self, KafkaError> {
        // At most the queue's size, because the records of one response are held in addition to the queue.
        let fetch_bytes = config.queue_bytes.clamp(FETCH_BYTES_FLOOR, MAX_FETCH_BYTES);
        let (fetch_wait_ms, fetch_min_bytes) = match fetch {
            FetchStrategy::Collect => (config.fetch_wait_ms, config.fetch_min_bytes()),
            FetchStrategy::AtOnce => (config.fetch_wait_ms.max(IDLE_FETCH_WAIT_MS), 1),
        };
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
            .set("fetch.wait.max.ms", fetch_wait_ms.to_string())
            .set("fetch.min.bytes", fetch_min_bytes.to_string())
            .set("fetch.error.backoff.ms", "50")
            .create_with_context(RebalanceListener::new(name, status.clone()))?;
        let topics = config.topics(contexts);
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            consumer: Arc::new(consumer),
            config: config.clone(),
            topics,
            stall_detector: StallDetector::default(),
            next_stall_check: Instant::now() + config.stall_after() / STALL_CHECKS_PER_TIMEOUT,
            name,
            status: status.clone(),
            batch_events: config.batch_events(limits),
            batch_bytes: config.batch_bytes.max(1),
            linger: config.linger(limits),
            buffered: VecDeque::new(),
            paused: false,
            fetch,
            applied_offsets: BTreeMap::new(),
            pending_offsets: BTreeMap::new(),
            last_flush: Instant::now(),
        })
    }

    /// Grows with every change of the assigned partitions.
    pub(super) fn assignment_version(&self) -> u64 {
        self.consumer.context().assignment_version.load(Ordering::Acquire)
    }

    /// Waits for the next batch.
    pub(super) async fn next_batch(&mut self, shutdown: &CancellationToken) -> NextBatch {
        self.resume();
        let first = loop {
            if self.should_check_stalls() {
                return NextBatch::Idle;
            }
            let (flush_at, has_pending) = (self.last_flush + COMMIT_INTERVAL, !self.pending_offsets.is_empty());
            let stall_check_at = self.next_stall_check;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return NextBatch::Stop,
                first = self.next_record() => break first,
                () = sleep_until(flush_at), if has_pending => self.flush_offsets(),
                () = sleep_until(stall_check_at) => {}
            }
        };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        let deadline = Instant::now() + self.linger;
        while batch.len() < self.batch_events && bytes < self.batch_bytes && !shutdown.is_cancelled() {
            match timeout_at(deadline, self.next_record()).await {
                Ok(record) => {
                    bytes += record.bytes;
                    batch.push(record);
                }
                Err(_) => break,
            }
        }
        let now = Instant::now().into_std();
        for record in &batch {
            self.stall_detector.record_activity((record.topic.clone(), record.partition), record.offset + 1, now);
        }
        NextBatch::Batch(batch)
    }

    /// Whether a check is due and a partition has been silent for `stall_after_ms`.
    fn should_check_stalls(&mut self) -> bool {
        let (now, stall_after) = (Instant::now(), self.config.stall_after());
        if now < self.next_stall_check {
            return false;
        }
        self.next_stall_check = now + stall_after / STALL_CHECKS_PER_TIMEOUT;
        let Ok(assigned) = self.consumer.assignment() else { return false };
        let partitions: Vec<_> =
            assigned.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        self.stall_detector.set_assignment(&partitions, now.into_std());
        self.stall_detector.has_silent_partition(stall_after, now.into_std())
    }

    /// Finds an assigned partition that has records after `checkpoint` and has delivered none for `stall_after_ms`.
    ///
    /// # Errors
    /// When the broker does not return the end offsets.
    pub(super) async fn find_stalled_partition(
        &mut self,
        checkpoint: &Checkpoint,
    ) -> Result<Option<StalledPartition>, KafkaError> {
        let ends = fetch_end_offsets(&self.config, self.topics.clone()).await?;
        let checkpoint_offset =
            |partition: &(String, i32)| checkpoint.0.get(partition).map_or(0, |applied| applied.next_offset);
        Ok(self.stall_detector.take_stalled(
            &ends,
            checkpoint_offset,
            self.config.stall_after(),
            Instant::now().into_std(),
        ))
    }

    /// Leaves the group and rejoins it with a new client.
    ///
    /// # Errors
    /// When the new client cannot be created; the old one is closed by then.
    pub(super) async fn rejoin_group(
        self,
        generation: ReadModelGeneration,
        contexts: &[BoundedContext],
        limits: BatchLimits,
    ) -> Result<Self, KafkaError> {
        let (name, fetch, config, status) = (self.name, self.fetch, self.config.clone(), self.status.clone());
        let assignment_version = self.assignment_version();
        let mut stall_detector = self.close().await;
        stall_detector.reset();
        let opened = Self::open(name, generation, contexts, limits, fetch, &config, &status)?;
        // A version above that of the old client makes the worker reload its checkpoints.
        opened.consumer.context().assignment_version.fetch_add(assignment_version, Ordering::AcqRel);
        Ok(Self { stall_detector, ..opened })
    }

    /// Waits without fetching, but stays in the consumer group. Returns false on shutdown.
    pub(super) async fn wait_paused(&mut self, pause: Duration, shutdown: &CancellationToken) -> bool {
        let end = Instant::now() + pause;
        self.pause();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = sleep_until(end) => return true,
                record = receive_record(&self.consumer, self.name, &self.status) => {
                    self.buffered.push_back(record);
                    // Partitions that were assigned meanwhile are not paused yet.
                    self.pause();
                }
            }
        }
    }

    /// Schedules a commit of these next offsets, within [`COMMIT_INTERVAL`].
    pub(super) fn commit_offsets(&mut self, next_offsets: &BTreeMap<(String, i32), i64>) {
        self.applied_offsets.extend(next_offsets.iter().map(|(partition, offset)| (partition.clone(), *offset)));
        self.pending_offsets.extend(next_offsets.iter().map(|(partition, offset)| (partition.clone(), *offset)));
        if self.last_flush.elapsed() >= COMMIT_INTERVAL {
            self.flush_offsets();
        }
    }

    fn flush_offsets(&mut self) {
        let pending = std::mem::take(&mut self.pending_offsets);
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
        let Self { consumer, applied_offsets: mut offsets, name, stall_detector, .. } = self;
        let closing = tokio::task::spawn_blocking(move || {
            let committed = consumer.assignment().and_then(|assigned| {
                // Partitions that are no longer assigned have a new owner, which may have committed higher offsets.
                offsets.retain(|(topic, partition), _| assigned.find_partition(topic, *partition).is_some());
                if offsets.is_empty() {
                    Ok(())
                } else {
                    consumer.commit(&to_partition_list(&offsets)?, CommitMode::Sync)
                }
            });
            if let Err(error) = committed {
                tracing::warn!(projection.name = name, error = %error, "committing the last offsets failed");
            }
            drop(consumer);
        });
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!(projection.name = name, "timed out while leaving the consumer group");
        }
        stall_detector
    }

    async fn next_record(&mut self) -> ConsumedRecord {
        match self.buffered.pop_front() {
            Some(record) => record,
            None => receive_record(&self.consumer, self.name, &self.status).await,
        }
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

/// The settings that all Kafka clients of the runtime share.
fn base_client_config(config: &ConsumerConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    client.set("reconnect.backoff.max.ms", "2000");
    client.set_log_level(RDKafkaLogLevel::Error);
    client
}

/// Waits for the next record without a time limit. Errors are logged; the client library reconnects.
async fn receive_record(
    consumer: &StreamConsumer<RebalanceListener>,
    name: &'static str,
    status: &StatusWriter,
) -> ConsumedRecord {
    loop {
        match consumer.recv().await {
            Ok(message) => return ConsumedRecord::from_message(&message),
            Err(error) => {
                if status.record_consumer_error(error.to_string()) {
                    tracing::warn!(projection.name = name, error = %error, "consumer error");
                }
            }
        }
    }
}

fn to_partition_list(next_offsets: &BTreeMap<(String, i32), i64>) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next_offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
