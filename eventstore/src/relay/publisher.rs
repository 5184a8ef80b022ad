//! Writing records: every event on its partition, in order, by an idempotent producer.

use std::{sync::Arc, time::Duration};

use domain::{context::Context, envelope::RawRecorded, partition::partition_of};
use rdkafka::{
    error::KafkaError,
    producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use uuid::Uuid;

use super::{
    delivery::{Deliveries, Outstanding},
    end::Ends,
    partition::Partition,
    record::{headers, headers_of},
};
use crate::{
    error::{LogError, kafka},
    topic::KafkaConfig,
};

/// Pause while the client library's own queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// A producer that knows what is on every partition.
pub(super) struct Publisher {
    producer: ThreadedProducer<Deliveries>,
    incarnation: String,
    topics: Vec<Topic>,
    /// Whose turn it is to get a beacon, counted across all topics.
    next_beacon: usize,
}

/// Which partitions get a beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beacons {
    /// Every one.
    All,
    /// At most so many of those that lag behind.
    Lagging { most: usize },
}

struct Topic {
    context: Context,
    name: String,
    partitions: Vec<Partition>,
}

/// Where an event goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    topic: usize,
    partition: usize,
}

impl Publisher {
    /// A publisher to partitions that end with `ends`.
    pub(super) fn new(config: &KafkaConfig, incarnation: Uuid, mut ends: Ends) -> Result<Self, LogError> {
        let producer = config.producer().create_with_context(Deliveries).map_err(kafka("creating the producer"))?;
        let topics = Context::ALL.into_iter().map(|context| {
            let name = context.topic(&config.topic_prefix);
            let partitions = (0..config.partitions)
                .map(|partition| Partition::new(ends.remove(&(name.clone(), partition)), incarnation))
                .collect();
            Topic { context, name, partitions }
        });
        Ok(Self { producer, incarnation: incarnation.to_string(), topics: topics.collect(), next_beacon: 0 })
    }

    /// Where an event has to go; `None` when it is there already.
    pub(super) fn place(&self, event: &RawRecorded) -> Result<Option<Place>, LogError> {
        let context = Context::of_aggregate(&event.aggregate_type);
        let topic = self.topics.iter().position(|topic| Some(topic.context) == context).ok_or_else(|| {
            LogError::UnknownAggregate {
                position: event.position,
                event_id: event.event_id,
                aggregate_type: event.aggregate_type.clone(),
            }
        })?;
        let partitions = &self.topics[topic].partitions;
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let partition = usize::try_from(partition_of(&event.aggregate_id, count)).unwrap_or_default();
        // Only a configuration without partitions, and topics that are not there, give none.
        let held = partitions.get(partition).ok_or_else(|| LogError::Partitions {
            topic: self.topics[topic].name.clone(),
            found: partitions.len(),
            expected: 1,
        })?;
        Ok((!held.holds(event.position)).then_some(Place { topic, partition }))
    }

    /// Hands an event to the producer. Events of one place come in the order of their positions.
    pub(super) async fn write(
        &mut self,
        place: Place,
        event: &RawRecorded,
        value: &[u8],
        outstanding: &Arc<Outstanding>,
    ) -> Result<(), LogError> {
        let topic = &mut self.topics[place.topic];
        let partition = &mut topic.partitions[place.partition];
        let ordinal = partition.next_ordinal();
        let record = BaseRecord::with_opaque_to(&topic.name, Arc::clone(outstanding))
            .partition(number(place.partition))
            .key(event.aggregate_id.as_bytes())
            .payload(value)
            .headers(headers(event, &self.incarnation, ordinal));
        outstanding.add();
        enqueue(&self.producer, record)
            .await
            .map_err(|source| LogError::Delivery { position: event.position, source })?;
        partition.wrote(event, ordinal);
        Ok(())
    }

    /// Whether some partition does not say yet that it has come to this position.
    pub(super) fn lags(&self, position: u64) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| !partition.holds(position))
    }

    /// How many partitions there are.
    pub(super) fn partitions(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// Writes a beacon to partitions that do not say yet that they have come to this position, `most` of them and in
    /// turn, or to all partitions whatever they say.
    pub(super) async fn beacon(
        &mut self,
        position: u64,
        beacons: Beacons,
        outstanding: &Arc<Outstanding>,
    ) -> Result<(), LogError> {
        let count = self.partitions();
        let mut left = match beacons {
            Beacons::All => count,
            Beacons::Lagging { most } => most,
        };
        let first = self.next_beacon;
        for turn in (first..first + count).map(|turn| turn % count) {
            if left == 0 {
                break;
            }
            if self.tell(turn, position, beacons == Beacons::All, outstanding).await? {
                left -= 1;
                self.next_beacon = (turn + 1) % count;
            }
        }
        Ok(())
    }

    /// False where the partition, counted across all topics, has nothing to tell.
    async fn tell(
        &mut self,
        turn: usize,
        position: u64,
        always: bool,
        outstanding: &Arc<Outstanding>,
    ) -> Result<bool, LogError> {
        // Every topic has the same number of partitions.
        let each = self.topics.first().map_or(1, |topic| topic.partitions.len()).max(1);
        let topic = &mut self.topics[turn / each];
        let (number, partition) = (number(turn % each), &mut topic.partitions[turn % each]);
        if partition.holds(position) && !always {
            return Ok(false);
        }
        let watermark = position.max(partition.end.watermark);
        let record: BaseRecord<'_, [u8], [u8], _> = BaseRecord::with_opaque_to(&topic.name, Arc::clone(outstanding))
            .partition(number)
            .headers(headers_of(&partition.reach(watermark).to_beacon()));
        outstanding.add();
        enqueue(&self.producer, record).await.map_err(|source| LogError::Delivery { position: watermark, source })?;
        Ok(true)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Whoever leads next must not find records of ours still arriving.
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

/// Waits for room in the client library's queue rather than failing.
async fn enqueue(
    producer: &ThreadedProducer<Deliveries>,
    mut record: BaseRecord<'_, [u8], [u8], Arc<Outstanding>>,
) -> Result<(), KafkaError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => record = refused,
            Err((source, refused)) => {
                refused.delivery_opaque.done();
                return Err(source);
            }
        }
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap_or_default()
}
