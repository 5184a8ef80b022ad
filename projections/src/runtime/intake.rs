//! A worker's own Kafka consumer: hands out batches, keeps its group membership while the worker waits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::context::Context;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer},
    error::KafkaError,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{KafkaConfig, delivery::Delivery, status::StatusWriter};

/// How long a farewell to the broker may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Consumes for one projection.
pub(super) struct Intake {
    consumer: Arc<StreamConsumer<Listener>>,
    name: &'static str,
    status: StatusWriter,
    batch_events: usize,
    linger: Duration,
    /// Records that came while the worker waited.
    held: VecDeque<Delivery>,
    paused: bool,
    /// Next offsets of what is applied.
    done: HashMap<(String, i32), i64>,
}

impl Intake {
    pub(super) fn open(
        name: &'static str,
        contexts: &[Context],
        config: &KafkaConfig,
        status: &StatusWriter,
    ) -> Result<Self, KafkaError> {
        let consumer: StreamConsumer<Listener> = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("group.id", format!("{}{name}", config.group_prefix))
            .set("client.id", format!("medhub-{name}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            // The partitions of a worker that was killed are free again after this; 6 s is the least brokers allow.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // Topics and partitions may appear later; the default is five minutes.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .set_log_level(RDKafkaLogLevel::Error)
            .create_with_context(Listener { name, status: status.clone() })?;
        let topics: Vec<_> = contexts.iter().map(|context| context.topic(&config.topic_prefix)).collect();
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            consumer: Arc::new(consumer),
            name,
            status: status.clone(),
            batch_events: config.batch_events.max(1),
            linger: config.linger(),
            held: VecDeque::new(),
            paused: false,
            done: HashMap::new(),
        })
    }

    /// The next batch, never empty; `None` once the worker is asked to stop.
    pub(super) async fn next_batch(&mut self, shutdown: &CancellationToken) -> Option<Vec<Delivery>> {
        self.resume();
        let first = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            first = self.next() => first,
        };
        let mut batch = vec![first];
        let deadline = Instant::now() + self.linger;
        while batch.len() < self.batch_events && !shutdown.is_cancelled() {
            match timeout_at(deadline, self.next()).await {
                Ok(delivery) => batch.push(delivery),
                Err(_) => break,
            }
        }
        Some(batch)
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

    /// Notes that these records are applied and tells the broker.
    pub(super) fn commit(&mut self, applied: &[Delivery]) {
        for delivery in applied {
            self.done.insert((delivery.topic.clone(), delivery.partition), delivery.offset + 1);
        }
        // A commit that fails means only that events come again, which changes nothing; the next one repeats it.
        if let Err(error) = offsets(&self.done).and_then(|offsets| self.consumer.commit(&offsets, CommitMode::Async)) {
            tracing::debug!(projection.name = self.name, error = %error, "offsets were not committed");
        }
    }

    /// Commits for good and leaves the group, bounded in time.
    pub(super) async fn close(self) {
        let Self { consumer, done, name, .. } = self;
        let farewell = tokio::task::spawn_blocking(move || {
            let committed = offsets(&done).and_then(|offsets| match offsets.count() {
                0 => Ok(()),
                _ => consumer.commit(&offsets, CommitMode::Sync),
            });
            if let Err(error) = committed {
                tracing::warn!(projection.name = name, error = %error, "last offsets were not committed");
            }
            drop(consumer);
        });
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!(projection.name = name, "the broker did not answer the farewell");
        }
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

fn offsets(done: &HashMap<(String, i32), i64>) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), next) in done {
        list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
    }
    Ok(list)
}

/// Hears about partitions coming and going.
struct Listener {
    name: &'static str,
    status: StatusWriter,
}

impl ClientContext for Listener {
    fn error(&self, error: KafkaError, reason: &str) {
        if self.status.disturbed(format!("{error}: {reason}")) {
            tracing::warn!(projection.name = self.name, error = %error, reason, "the broker is disturbed");
        }
    }
}

impl ConsumerContext for Listener {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::debug!(projection.name = self.name, partitions = partitions.count(), "partitions assigned");
                self.status.assigned();
            }
            Rebalance::Revoke(partitions) => {
                tracing::debug!(projection.name = self.name, partitions = partitions.count(), "partitions revoked");
            }
            Rebalance::Error(error) => {
                tracing::warn!(projection.name = self.name, error = %error, "rebalancing failed");
            }
        }
    }
}
