//! A worker's own Kafka consumer: hands out batches, keeps its group membership while the worker waits.

mod listener;
mod partitions;
mod silence;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::context::Context;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaError,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::{listener::Listener, silence::SilentPartitions};
pub(super) use self::{
    partitions::{Ends, Partitions, commit_for, count, ends, partitions},
    silence::StalledPartition,
};
use super::{Checkpoint, Generation, KafkaConfig, Pace, delivery::Delivery, status::StatusWriter};

/// How long a farewell to the broker may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// The largest answer to a fetch: the broker sends a larger record all the same.
const FETCH_BYTES: usize = 12 << 20;

/// What one partition may have of it.
const MOST_OF_A_PARTITION: usize = 1 << 20;

/// The smallest answer that the client lets be asked for.
const LEAST_FETCH_BYTES: usize = 1 << 20;

/// Time between two commits of offsets: each costs the broker a record of its own. What is applied stands in the
/// checkpoints; who takes a partition over reads at most so much of it again, which changes nothing.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// Bytes that a fetch is answered with at once, before `fetch_wait_ms` is over.
const WORTH_AN_ANSWER: usize = 32 << 10;

/// How often it is looked whether partitions are silent, in parts of the time that they may be.
const LOOKS: u32 = 3;

/// What comes next.
pub(super) enum NextBatch {
    /// Records, at least one.
    Batch(Vec<Delivery>),
    /// Nothing for some time: somebody should look whether that is right.
    Silence,
    /// The worker is asked to stop.
    Stop,
}

/// Consumes for one generation of one projection.
pub(super) struct Intake {
    consumer: Arc<StreamConsumer<Listener>>,
    config: KafkaConfig,
    topics: Vec<String>,
    silence: SilentPartitions,
    look_at: Instant,
    name: &'static str,
    status: StatusWriter,
    batch_events: usize,
    batch_bytes: usize,
    linger: Duration,
    /// Records that came while the worker waited.
    held: VecDeque<Delivery>,
    paused: bool,
    /// Next offsets of what is applied.
    done: BTreeMap<(String, i32), i64>,
    /// Those that the broker has not been told.
    untold: BTreeMap<(String, i32), i64>,
    told_at: Instant,
}

impl Intake {
    pub(super) fn open(
        name: &'static str,
        generation: Generation,
        contexts: &[Context],
        pace: Pace,
        config: &KafkaConfig,
        status: &StatusWriter,
    ) -> Result<Self, KafkaError> {
        // No more than may wait: what one answer holds comes on top of it.
        let fetch_bytes = config.queue_bytes.clamp(LEAST_FETCH_BYTES, FETCH_BYTES);
        let consumer: StreamConsumer<Listener> = client(config)
            .set("group.id", config.group(name, generation))
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
            .set("fetch.message.max.bytes", (fetch_bytes / 8).min(MOST_OF_A_PARTITION).to_string())
            .set("fetch.max.bytes", fetch_bytes.to_string())
            .set("fetch.wait.max.ms", config.fetch_wait_ms.to_string())
            .set("fetch.min.bytes", WORTH_AN_ANSWER.to_string())
            .set("fetch.error.backoff.ms", "50")
            .create_with_context(Listener::new(name, status.clone()))?;
        let topics = config.topics(contexts);
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            consumer: Arc::new(consumer),
            config: config.clone(),
            topics,
            silence: SilentPartitions::default(),
            look_at: Instant::now() + config.stall_after() / LOOKS,
            name,
            status: status.clone(),
            batch_events: config.batch_events(pace),
            batch_bytes: config.batch_bytes.max(1),
            linger: config.linger(pace),
            held: VecDeque::new(),
            paused: false,
            done: BTreeMap::new(),
            untold: BTreeMap::new(),
            told_at: Instant::now(),
        })
    }

    /// How often partitions have come or gone.
    pub(super) fn assignments(&self) -> u64 {
        self.consumer.context().assignments.load(Ordering::Acquire)
    }

    /// The next batch, or why there is none.
    pub(super) async fn next_batch(&mut self, shutdown: &CancellationToken) -> NextBatch {
        self.resume();
        let first = loop {
            if self.is_silent() {
                return NextBatch::Silence;
            }
            let (due, is_behind) = (self.told_at + COMMIT_EVERY, !self.untold.is_empty());
            let look_at = self.look_at;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return NextBatch::Stop,
                first = self.next() => break first,
                () = sleep_until(due), if is_behind => self.tell(),
                () = sleep_until(look_at) => {}
            }
        };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        let deadline = Instant::now() + self.linger;
        while batch.len() < self.batch_events && bytes < self.batch_bytes && !shutdown.is_cancelled() {
            match timeout_at(deadline, self.next()).await {
                Ok(delivery) => {
                    bytes += delivery.bytes;
                    batch.push(delivery);
                }
                Err(_) => break,
            }
        }
        let now = Instant::now().into_std();
        for delivery in &batch {
            self.silence.heard((delivery.topic.clone(), delivery.partition), delivery.offset + 1, now);
        }
        NextBatch::Batch(batch)
    }

    /// Whether it is time to look at partitions that have brought nothing for long.
    fn is_silent(&mut self) -> bool {
        let (now, patience) = (Instant::now(), self.config.stall_after());
        if now < self.look_at {
            return false;
        }
        self.look_at = now + patience / LOOKS;
        let Ok(assigned) = self.consumer.assignment() else { return false };
        let places: Vec<_> =
            assigned.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        self.silence.assigned(&places, now.into_std());
        self.silence.is_long(patience, now.into_std())
    }

    /// An assigned partition that has records behind `checkpoint` and has brought none for long.
    ///
    /// # Errors
    /// When the broker does not say where partitions end.
    pub(super) async fn stalled(&mut self, checkpoint: &Checkpoint) -> Result<Option<StalledPartition>, KafkaError> {
        let ends = ends(&self.config, self.topics.clone()).await?;
        let known = |place: &(String, i32)| checkpoint.0.get(place).map_or(0, |mark| mark.next_offset);
        Ok(self.silence.stalled(&ends, known, self.config.stall_after(), Instant::now().into_std()))
    }

    /// Leaves the group and joins it again, with a client of its own.
    ///
    /// # Errors
    /// When there can be no client; the old one is gone then.
    pub(super) async fn reopen(
        self,
        generation: Generation,
        contexts: &[Context],
        pace: Pace,
    ) -> Result<Self, KafkaError> {
        let (name, config, status) = (self.name, self.config.clone(), self.status.clone());
        let assignments = self.assignments();
        let mut silence = self.close().await;
        silence.begin_anew();
        let opened = Self::open(name, generation, contexts, pace, &config, &status)?;
        // What was read of the checkpoints must be read again.
        opened.consumer.context().assignments.fetch_add(assignments, Ordering::AcqRel);
        Ok(Self { silence, ..opened })
    }

    /// Waits while staying in the consumer group, without fetching. False when asked to stop.
    pub(super) async fn wait(&mut self, pause: Duration, shutdown: &CancellationToken) -> bool {
        let end = Instant::now() + pause;
        self.pause();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = sleep_until(end) => return true,
                delivery = receive(&self.consumer, self.name, &self.status) => {
                    self.held.push_back(delivery);
                    // Partitions that were handed over meanwhile are not paused yet.
                    self.pause();
                }
            }
        }
    }

    /// Tells the broker soon where to go on after these records.
    pub(super) fn commit(&mut self, next: &BTreeMap<(String, i32), i64>) {
        self.done.extend(next.iter().map(|(place, offset)| (place.clone(), *offset)));
        self.untold.extend(next.iter().map(|(place, offset)| (place.clone(), *offset)));
        if self.told_at.elapsed() >= COMMIT_EVERY {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let next = std::mem::take(&mut self.untold);
        self.told_at = Instant::now();
        // A commit that fails means only that events come again, which changes nothing; the next one repeats it.
        if let Err(error) = offsets(&next).and_then(|offsets| self.consumer.commit(&offsets, CommitMode::Async)) {
            tracing::debug!(projection.name = self.name, error = %error, "offsets were not committed");
        }
    }

    /// Commits for good and leaves the group, bounded in time. Answers with what is known of silent partitions.
    pub(super) async fn close(self) -> SilentPartitions {
        let Self { consumer, mut done, name, silence, .. } = self;
        let farewell = tokio::task::spawn_blocking(move || {
            let committed = consumer.assignment().and_then(|assigned| {
                // Other partitions have a new owner, who is further by now.
                done.retain(|(topic, partition), _| assigned.find_partition(topic, *partition).is_some());
                if done.is_empty() { Ok(()) } else { consumer.commit(&offsets(&done)?, CommitMode::Sync) }
            });
            if let Err(error) = committed {
                tracing::warn!(projection.name = name, error = %error, "last offsets were not committed");
            }
            drop(consumer);
        });
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!(projection.name = name, "the broker did not answer the farewell");
        }
        silence
    }

    async fn next(&mut self) -> Delivery {
        match self.held.pop_front() {
            Some(delivery) => delivery,
            None => receive(&self.consumer, self.name, &self.status).await,
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        self.on_assignment("pausing", Consumer::pause);
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.on_assignment("resuming", Consumer::resume);
        }
    }

    fn on_assignment(
        &self,
        doing: &'static str,
        act: impl Fn(&StreamConsumer<Listener>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        let outcome = self.consumer.assignment().and_then(|partitions| act(&self.consumer, &partitions));
        if let Err(error) = outcome {
            tracing::warn!(projection.name = self.name, error = %error, "{doing} partitions failed");
        }
    }
}

/// What every client here starts from.
fn client(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    client.set("reconnect.backoff.max.ms", "2000");
    client.set_log_level(RDKafkaLogLevel::Error);
    client
}

/// The next record, however long it takes. Broker trouble is reported, the client library reconnects by itself.
async fn receive(consumer: &StreamConsumer<Listener>, name: &'static str, status: &StatusWriter) -> Delivery {
    loop {
        match consumer.recv().await {
            Ok(message) => return Delivery::of(&message),
            Err(error) => {
                if status.disturbed(error.to_string()) {
                    tracing::warn!(projection.name = name, error = %error, "consuming is disturbed");
                }
            }
        }
    }
}

fn offsets(next: &BTreeMap<(String, i32), i64>) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), next) in next {
        list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
    }
    Ok(list)
}
