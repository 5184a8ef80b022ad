//! A worker's own Kafka consumer: hands out batches, keeps its group membership while the worker waits.

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
    BatchLimits, Checkpoint, ConsumerConfig, Generation, consumed_record::ConsumedRecord, worker_status::StatusWriter,
};

/// How long a farewell to the broker may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer to a fetch: the broker sends a larger record all the same.
const MAX_FETCH_BYTES: usize = 12 << 20;

/// What one partition may have of it.
const MAX_PARTITION_FETCH_BYTES: usize = 1 << 20;

/// The smallest answer that the client lets be asked for.
const FETCH_BYTES_FLOOR: usize = 1 << 20;

/// Time between two commits of offsets: each costs the broker a record of its own. What is applied stands in the
/// checkpoints; who takes a partition over reads at most so much of it again, which changes nothing.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes that a fetch is answered with at once, before `fetch_wait_ms` is over.
const FETCH_MIN_BYTES: usize = 32 << 10;

/// How often it is looked whether partitions are silent, in parts of the time that they may be.
const STALL_CHECKS_PER_TIMEOUT: u32 = 3;

/// What comes next.
pub(super) enum NextBatch {
    /// Records, at least one.
    Batch(Vec<ConsumedRecord>),
    /// Nothing for some time: somebody should look whether that is right.
    Idle,
    /// The worker is asked to stop.
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
    /// Records that came while the worker waited.
    buffered: VecDeque<ConsumedRecord>,
    paused: bool,
    /// Next offsets of what is applied.
    applied_offsets: BTreeMap<(String, i32), i64>,
    /// Those that the broker has not been told.
    pending_offsets: BTreeMap<(String, i32), i64>,
    last_flush: Instant,
}

impl BatchConsumer {
    pub(super) fn open(
        name: &'static str,
        generation: Generation,
        contexts: &[BoundedContext],
        pace: BatchLimits,
        config: &ConsumerConfig,
        status: &StatusWriter,
    ) -> Result<Self, KafkaError> {
        // No more than may wait: what one answer holds comes on top of it.
        let fetch_bytes = config.queue_bytes.clamp(FETCH_BYTES_FLOOR, MAX_FETCH_BYTES);
        let consumer: StreamConsumer<RebalanceListener> = base_client_config(config)
            .set("group.id", config.group_id(name, generation))
            .set("client.id", format!("medhub-{name}-{generation}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            // Only what is applied may count as consumed.
            .set("enable.auto.offset.store", "false")
            // The partitions of a worker that was killed are free again after this; 6 s is the least brokers allow.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // Topics and partitions may appear later; the default is five minutes.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("queued.max.messages.kbytes", (config.queue_bytes / 1024).max(1).to_string())
            .set("fetch.message.max.bytes", (fetch_bytes / 8).min(MAX_PARTITION_FETCH_BYTES).to_string())
            .set("fetch.max.bytes", fetch_bytes.to_string())
            .set("fetch.wait.max.ms", config.fetch_wait_ms.to_string())
            .set("fetch.min.bytes", FETCH_MIN_BYTES.to_string())
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
            batch_events: config.batch_events(pace),
            batch_bytes: config.batch_bytes.max(1),
            linger: config.linger(pace),
            buffered: VecDeque::new(),
            paused: false,
            applied_offsets: BTreeMap::new(),
            pending_offsets: BTreeMap::new(),
            last_flush: Instant::now(),
        })
    }

    /// How often partitions have come or gone.
    pub(super) fn assignment_version(&self) -> u64 {
        self.consumer.context().assignment_version.load(Ordering::Acquire)
    }

    /// The next batch, or why there is none.
    pub(super) async fn next_batch(&mut self, shutdown: &CancellationToken) -> NextBatch {
        self.resume();
        let first = loop {
            if self.should_check_stalls() {
                return NextBatch::Idle;
            }
            let (due, is_behind) = (self.last_flush + COMMIT_INTERVAL, !self.pending_offsets.is_empty());
            let look_at = self.next_stall_check;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return NextBatch::Stop,
                first = self.next_record() => break first,
                () = sleep_until(due), if is_behind => self.flush_offsets(),
                () = sleep_until(look_at) => {}
            }
        };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        let deadline = Instant::now() + self.linger;
        while batch.len() < self.batch_events && bytes < self.batch_bytes && !shutdown.is_cancelled() {
            match timeout_at(deadline, self.next_record()).await {
                Ok(delivery) => {
                    bytes += delivery.bytes;
                    batch.push(delivery);
                }
                Err(_) => break,
            }
        }
        let now = Instant::now().into_std();
        for delivery in &batch {
            self.stall_detector.record_activity((delivery.topic.clone(), delivery.partition), delivery.offset + 1, now);
        }
        NextBatch::Batch(batch)
    }

    /// Whether it is time to look at partitions that have brought nothing for long.
    fn should_check_stalls(&mut self) -> bool {
        let (now, patience) = (Instant::now(), self.config.stall_after());
        if now < self.next_stall_check {
            return false;
        }
        self.next_stall_check = now + patience / STALL_CHECKS_PER_TIMEOUT;
        let Ok(assigned) = self.consumer.assignment() else { return false };
        let places: Vec<_> =
            assigned.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        self.stall_detector.set_assignment(&places, now.into_std());
        self.stall_detector.has_silent_partition(patience, now.into_std())
    }

    /// An assigned partition that has records behind `checkpoint` and has brought none for long.
    ///
    /// # Errors
    /// When the broker does not say where partitions end.
    pub(super) async fn find_stalled_partition(
        &mut self,
        checkpoint: &Checkpoint,
    ) -> Result<Option<StalledPartition>, KafkaError> {
        let ends = fetch_end_offsets(&self.config, self.topics.clone()).await?;
        let known = |place: &(String, i32)| checkpoint.0.get(place).map_or(0, |mark| mark.next_offset);
        Ok(self.stall_detector.take_stalled(&ends, known, self.config.stall_after(), Instant::now().into_std()))
    }

    /// Leaves the group and joins it again, with a client of its own.
    ///
    /// # Errors
    /// When there can be no client; the old one is gone then.
    pub(super) async fn rejoin_group(
        self,
        generation: Generation,
        contexts: &[BoundedContext],
        pace: BatchLimits,
    ) -> Result<Self, KafkaError> {
        let (name, config, status) = (self.name, self.config.clone(), self.status.clone());
        let assignments = self.assignment_version();
        let mut silence = self.close().await;
        silence.reset();
        let opened = Self::open(name, generation, contexts, pace, &config, &status)?;
        // What was read of the checkpoints must be read again.
        opened.consumer.context().assignment_version.fetch_add(assignments, Ordering::AcqRel);
        Ok(Self { stall_detector: silence, ..opened })
    }

    /// Waits while staying in the consumer group, without fetching. False when asked to stop.
    pub(super) async fn wait_paused(&mut self, pause: Duration, shutdown: &CancellationToken) -> bool {
        let end = Instant::now() + pause;
        self.pause();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = sleep_until(end) => return true,
                delivery = receive_record(&self.consumer, self.name, &self.status) => {
                    self.buffered.push_back(delivery);
                    // Partitions that were handed over meanwhile are not paused yet.
                    self.pause();
                }
            }
        }
    }

    /// Tells the broker soon where to go on after these records.
    pub(super) fn commit_offsets(&mut self, next: &BTreeMap<(String, i32), i64>) {
        self.applied_offsets.extend(next.iter().map(|(place, offset)| (place.clone(), *offset)));
        self.pending_offsets.extend(next.iter().map(|(place, offset)| (place.clone(), *offset)));
        if self.last_flush.elapsed() >= COMMIT_INTERVAL {
            self.flush_offsets();
        }
    }

    fn flush_offsets(&mut self) {
        let next = std::mem::take(&mut self.pending_offsets);
        self.last_flush = Instant::now();
        // A commit that fails means only that events come again, which changes nothing; the next one repeats it.
        if let Err(error) =
            to_partition_list(&next).and_then(|offsets| self.consumer.commit(&offsets, CommitMode::Async))
        {
            tracing::debug!(projection.name = self.name, error = %error, "offsets were not committed");
        }
    }

    /// Commits for good and leaves the group, bounded in time. Answers with what is known of silent partitions.
    pub(super) async fn close(self) -> StallDetector {
        let Self { consumer, applied_offsets: mut done, name, stall_detector: silence, .. } = self;
        let farewell = tokio::task::spawn_blocking(move || {
            let committed = consumer.assignment().and_then(|assigned| {
                // Other partitions have a new owner, who is further by now.
                done.retain(|(topic, partition), _| assigned.find_partition(topic, *partition).is_some());
                if done.is_empty() { Ok(()) } else { consumer.commit(&to_partition_list(&done)?, CommitMode::Sync) }
            });
            if let Err(error) = committed {
                tracing::warn!(projection.name = name, error = %error, "last offsets were not committed");
            }
            drop(consumer);
        });
        if timeout(CLOSE_TIMEOUT, farewell).await.is_err() {
            tracing::warn!(projection.name = name, "the broker did not answer the farewell");
        }
        silence
    }

    async fn next_record(&mut self) -> ConsumedRecord {
        match self.buffered.pop_front() {
            Some(delivery) => delivery,
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
        doing: &'static str,
        act: impl Fn(&StreamConsumer<RebalanceListener>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        let outcome = self.consumer.assignment().and_then(|partitions| act(&self.consumer, &partitions));
        if let Err(error) = outcome {
            tracing::warn!(projection.name = self.name, error = %error, "{doing} partitions failed");
        }
    }
}

/// What every client here starts from.
fn base_client_config(config: &ConsumerConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    client.set("reconnect.backoff.max.ms", "2000");
    client.set_log_level(RDKafkaLogLevel::Error);
    client
}

/// The next record, however long it takes. Broker trouble is reported, the client library reconnects by itself.
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
                    tracing::warn!(projection.name = name, error = %error, "consuming is disturbed");
                }
            }
        }
    }
}

fn to_partition_list(next: &BTreeMap<(String, i32), i64>) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), next) in next {
        list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
    }
    Ok(list)
}
