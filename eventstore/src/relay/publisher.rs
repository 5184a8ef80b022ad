//! Publishing a batch: every event on its partition, in order, all acknowledged before the answer.

use std::time::Duration;

use domain::{
    context::Context,
    envelope::{RawRecorded, to_headers},
};
use futures::{StreamExt, stream::FuturesUnordered};
use rdkafka::{
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
    types::RDKafkaErrorCode,
};

use super::tail::Tails;
use crate::{
    error::{LogError, kafka},
    topic::{KafkaConfig, partition_of},
};

/// After how long without an acknowledgement a line is logged.
const SLOW: Duration = Duration::from_secs(5);

/// An idempotent producer that knows what is on Kafka already.
pub(super) struct Publisher {
    producer: FutureProducer,
    topic_prefix: String,
    partitions: i32,
    tails: Tails,
}

impl Publisher {
    pub(super) fn new(config: &KafkaConfig, tails: Tails) -> Result<Self, LogError> {
        let producer = config
            .client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            // Never give up on a record: giving up on one while later ones succeed would reorder an aggregate.
            .set("message.timeout.ms", "0")
            .create()
            .map_err(kafka("creating the producer"))?;
        Ok(Self { producer, topic_prefix: config.topic_prefix.clone(), partitions: config.partitions, tails })
    }

    /// Publishes what is not on Kafka yet; answers how many records that were, once all are acknowledged.
    pub(super) async fn publish(&self, batch: &[RawRecorded]) -> Result<u64, LogError> {
        let mut in_flight = FuturesUnordered::new();
        for event in batch {
            in_flight.extend(self.send(event).await?);
        }
        let mut acknowledged = 0_u64;
        loop {
            match tokio::time::timeout(SLOW, in_flight.next()).await {
                Ok(None) => return Ok(acknowledged),
                Ok(Some(delivery)) => {
                    delivered(delivery)?;
                    acknowledged += 1;
                }
                Err(_) => tracing::warn!(
                    relay.waiting = in_flight.len(),
                    "Kafka has not acknowledged for {} s, waiting on",
                    SLOW.as_secs()
                ),
            }
        }
    }

    async fn send(&self, event: &RawRecorded) -> Result<Option<DeliveryFuture>, LogError> {
        let Some(context) = Context::of_aggregate(&event.aggregate_type) else {
            let (position, aggregate_type) = (event.position, event.aggregate_type.clone());
            return Err(LogError::UnknownAggregate { position, aggregate_type });
        };
        let topic = context.topic(&self.topic_prefix);
        let partition = partition_of(&event.aggregate_id, self.partitions);
        let key = (topic, partition);
        if self.tails.get(&key).is_some_and(|last| event.position <= *last) {
            return Ok(None);
        }
        let (topic, partition) = key;
        let headers = headers(event);
        loop {
            let record = FutureRecord::to(&topic)
                .partition(partition)
                .key(&event.aggregate_id)
                .payload(&event.payload)
                .headers(headers.clone());
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(Some(delivery)),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err((source, _)) => return Err(LogError::Kafka { doing: "publishing an event", source }),
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Whoever leads next must not find records of ours still arriving.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}

fn headers(event: &RawRecorded) -> OwnedHeaders {
    to_headers(event)
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

fn delivered(
    delivery: Result<rdkafka::producer::future_producer::OwnedDeliveryResult, futures::channel::oneshot::Canceled>,
) -> Result<(), LogError> {
    let failed = |source| LogError::Kafka { doing: "publishing an event", source };
    match delivery {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((source, _))) => Err(failed(source)),
        Err(_) => Err(failed(KafkaError::Canceled)),
    }
}
