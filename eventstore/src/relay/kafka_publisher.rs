//! Writes records: every event to its partition, in order, by an idempotent producer.

use std::{sync::Arc, time::Duration};

use domain::{context::BoundedContext, envelope::RawEnvelope, partition::partition_for_key};
use rdkafka::{error::KafkaError, producer::BaseRecord, types::RDKafkaErrorCode};
use uuid::Uuid;

use super::{
    broker_connection::BrokerConnection,
    partition_state::PartitionState,
    pending_deliveries::PendingDeliveries,
    polled_producer::{OutgoingRecord, PolledProducer},
    record_encoder::{build_headers, event_headers},
    resume_point::PublishedProgress,
};
use crate::{error::LogError, topic::KafkaConfig};

/// Pause while the client library's queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// A producer with the end of every partition.
pub(super) struct KafkaPublisher {
    producer: PolledProducer,
    incarnation: String,
    topics: Vec<TopicState>,
    /// Index of the partition that is the first candidate for the next beacon, counted across all topics.
    next_beacon: usize,
}

/// Which partitions get a beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeaconTargets {
    /// Every partition.
    All,
    /// At most `max_count` of the partitions that lag behind.
    Lagging { max_count: usize },
}

struct TopicState {
    context: BoundedContext,
    name: String,
    partitions: Vec<PartitionState>,
}

/// The topic and partition of an event, as indexes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordTarget {
    topic: usize,
    partition: usize,
}

impl KafkaPublisher {
    /// Creates a publisher to partitions that end with `ends`, for a producer that has sent nothing yet.
    pub(super) fn new(
        producer: PolledProducer,
        config: &KafkaConfig,
        incarnation: Uuid,
        mut ends: PublishedProgress,
    ) -> Self {
        let topics = BoundedContext::ALL.into_iter().map(|context| {
            let name = context.topic(&config.topic_prefix);
            let partitions = (0..config.partitions)
                .map(|partition| PartitionState::new(ends.remove(&(name.clone(), partition)), incarnation))
                .collect();
            TopicState { context, name, partitions }
        });
        Self { producer, incarnation: incarnation.to_string(), topics: topics.collect(), next_beacon: 0 }
    }

    /// The producer's connection to the broker, for checks while records are not acknowledged.
    pub(super) fn broker_connection(&self, config: &KafkaConfig) -> BrokerConnection {
        BrokerConnection::new(Arc::clone(self.producer.client()), config.clone())
    }

    /// Returns the partition of an event; `None` when the event is on it already.
    pub(super) fn target_partition(&self, event: &RawEnvelope) -> Result<Option<RecordTarget>, LogError> {
        let context = BoundedContext::from_aggregate_type(&event.aggregate_type);
        let topic = self.topics.iter().position(|topic| Some(topic.context) == context).ok_or_else(|| {
            LogError::UnknownAggregate {
                position: event.position,
                event_id: event.event_id,
                aggregate_type: event.aggregate_type.clone(),
            }
        })?;
        let partitions = &self.topics[topic].partitions;
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let partition = usize::try_from(partition_for_key(&event.aggregate_id, count)).unwrap_or_default();
        // Missing only when no partitions are configured or the topics do not exist.
        let state = partitions.get(partition).ok_or_else(|| LogError::Partitions {
            topic: self.topics[topic].name.clone(),
            found: partitions.len(),
            expected: 1,
        })?;
        Ok((!state.contains(event.position)).then_some(RecordTarget { topic, partition }))
    }

    /// The topic of an event; `None` if its kind is unknown.
    pub(super) fn topic_name(&self, event: &RawEnvelope) -> Option<&str> {
        let context = BoundedContext::from_aggregate_type(&event.aggregate_type)?;
        self.topics.iter().find(|topic| topic.context == context).map(|topic| topic.name.as_str())
    }

    /// Hands an event to the producer. The events of a partition must come in the order of their positions.
    pub(super) async fn publish_event(
        &mut self,
        target: RecordTarget,
        event: &RawEnvelope,
        value: &[u8],
        outstanding: &Arc<PendingDeliveries>,
    ) -> Result<(), LogError> {
        let topic = &mut self.topics[target.topic];
        let partition = &mut topic.partitions[target.partition];
        let ordinal = partition.next_ordinal();
        let record = BaseRecord::with_opaque_to(&topic.name, Arc::clone(outstanding))
            .partition(partition_number(target.partition))
            .key(event.aggregate_id.as_bytes())
            .payload(value)
            .headers(event_headers(event, &self.incarnation, ordinal));
        outstanding.add_record();
        enqueue(&self.producer, record)
            .await
            .map_err(|source| LogError::Delivery { position: event.position, source })?;
        partition.advance_to_event(event, ordinal);
        Ok(())
    }

    /// Whether the watermark of any partition is below this position.
    pub(super) fn has_lagging_partition(&self, position: u64) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| !partition.contains(position))
    }

    /// Number of partitions of all topics.
    pub(super) fn partition_count(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// Writes beacons with this position: either to all partitions, or round-robin to those whose watermark is below
    /// it, up to the limit of `targets`.
    pub(super) async fn publish_beacons(
        &mut self,
        position: u64,
        targets: BeaconTargets,
        outstanding: &Arc<PendingDeliveries>,
    ) -> Result<(), LogError> {
        let count = self.partition_count();
        let mut remaining = match targets {
            BeaconTargets::All => count,
            BeaconTargets::Lagging { max_count } => max_count,
        };
        let first = self.next_beacon;
        for index in (first..first + count).map(|index| index % count) {
            if remaining == 0 {
                break;
            }
            if self.publish_beacon(index, position, targets == BeaconTargets::All, outstanding).await? {
                remaining -= 1;
                self.next_beacon = (index + 1) % count;
            }
        }
        Ok(())
    }

    /// Writes a beacon to the partition with this index, counted across all topics. Writes none and returns `false`
    /// when the partition's watermark is not below the position and `always` is not set.
    async fn publish_beacon(
        &mut self,
        index: usize,
        position: u64,
        always: bool,
        outstanding: &Arc<PendingDeliveries>,
    ) -> Result<bool, LogError> {
        // Every topic has the same number of partitions.
        let partitions_per_topic = self.topics.first().map_or(1, |topic| topic.partitions.len()).max(1);
        let topic = &mut self.topics[index / partitions_per_topic];
        let partition_index = index % partitions_per_topic;
        let (number, partition) = (partition_number(partition_index), &mut topic.partitions[partition_index]);
        if partition.contains(position) && !always {
            return Ok(false);
        }
        let watermark = position.max(partition.end.watermark);
        let record: OutgoingRecord<'_> = BaseRecord::with_opaque_to(&topic.name, Arc::clone(outstanding))
            .partition(number)
            .headers(build_headers(&partition.advance_watermark(watermark).to_beacon_headers()));
        outstanding.add_record();
        enqueue(&self.producer, record).await.map_err(|source| LogError::Delivery { position: watermark, source })?;
        Ok(true)
    }
}

/// Hands a record to the producer, waiting while the client library's queue is full.
async fn enqueue(producer: &PolledProducer, mut record: OutgoingRecord<'_>) -> Result<(), KafkaError> {
    loop {
        match producer.client().send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => record = refused,
            Err((source, refused)) => {
                refused.delivery_opaque.complete_record();
                return Err(source);
            }
        }
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
}

fn partition_number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap_or_default()
}
