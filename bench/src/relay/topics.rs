//! Reads the records that the relay has published, and produces the same records with a plain producer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::context::BoundedContext;
use eventstore::topic::KafkaConfig;
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::OwnedHeaders,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::PROGRESS_TIMEOUT;
use crate::{BenchFigures, cpu_time};

/// A record in memory.
pub(super) struct KafkaRecord {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: OwnedHeaders,
    header_bytes: usize,
}

impl KafkaRecord {
    /// Returns its size on the wire without framing, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.key.len() + self.value.len() + self.header_bytes
    }
}

/// Reads all events of the topic of opportunities, in the order of arrival.
pub(super) async fn read_records(topics: &KafkaConfig, events: u64) -> anyhow::Result<Vec<KafkaRecord>> {
    let topics = topics.clone();
    tokio::task::spawn_blocking(move || read_records_blocking(&topics, events)).await?
}

fn read_records_blocking(topics: &KafkaConfig, events: u64) -> anyhow::Result<Vec<KafkaRecord>> {
    use rdkafka::message::Headers as _;
    let consumer = create_consumer(topics, Offset::Beginning)?;
    let mut records = Vec::with_capacity(usize::try_from(events)?);
    while (records.len() as u64) < events {
        let message = consumer.poll(PROGRESS_TIMEOUT).context("waiting for records timed out")??;
        // A beacon has no key.
        let (Some(key), Some(headers)) = (message.key(), message.headers()) else { continue };
        let size = |header: rdkafka::message::Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len);
        records.push(KafkaRecord {
            partition: message.partition(),
            key: key.to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            header_bytes: headers.iter().map(size).sum(),
            headers: headers.detach(),
        });
    }
    Ok(records)
}

/// Creates a consumer of all partitions of the topic of opportunities.
pub(super) fn create_consumer(topics: &KafkaConfig, from: Offset) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = topics.client_config().set("group.id", "medhub-bench").create()?;
    let topic = BoundedContext::Opportunities.topic(&topics.topic_prefix);
    let mut all = TopicPartitionList::new();
    for partition in 0..topics.partitions {
        all.add_partition_offset(&topic, partition, from)?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}

/// Counts acknowledged records.
struct DeliveryCounter {
    acknowledged: Arc<AtomicU64>,
}

impl ClientContext for DeliveryCounter {}

impl ProducerContext for DeliveryCounter {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        self.acknowledged.fetch_add(u64::from(delivery.is_ok()), Ordering::Relaxed);
    }
}

/// Produces the records as fast as the client library accepts them, and waits for all acknowledgements.
pub(super) fn produce_records(topics: &KafkaConfig, records: &[KafkaRecord]) -> anyhow::Result<BenchFigures> {
    let acknowledged = Arc::<AtomicU64>::default();
    let context = DeliveryCounter { acknowledged: Arc::clone(&acknowledged) };
    let producer: ThreadedProducer<DeliveryCounter> = topics.producer_config().create_with_context(context)?;
    let topic = BoundedContext::Opportunities.topic(&topics.topic_prefix);
    let events = records.len() as u64;
    // Cloned before the measurement, which covers producing only.
    let headers: Vec<_> = records.iter().map(|record| record.headers.clone()).collect();
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
    for (record, headers) in records.iter().zip(headers) {
        let mut next =
            BaseRecord::to(&topic).partition(record.partition).key(&record.key).payload(&record.value).headers(headers);
        while let Err((error, returned)) = producer.send(next) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            next = returned;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    producer.flush(PROGRESS_TIMEOUT)?;
    let figures = BenchFigures::new(events, started.elapsed(), cpu_time::process_cpu_time().saturating_sub(cpu), None);
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    anyhow::ensure!(acknowledged == events, "Kafka acknowledged {acknowledged} of {events} records");
    Ok(figures)
}

/// Deletes every topic of the benchmark.
pub(crate) async fn delete_topics(kafka: &KafkaConfig, prefix: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = kafka.client_config().create()?;
    let metadata = {
        let client = kafka.clone();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.client_config().create()?;
            consumer.fetch_metadata(None, PROGRESS_TIMEOUT)
        })
        .await??
    };
    let names = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name);
    let bench_topics: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    admin.delete_topics(&bench_topics, &AdminOptions::new().operation_timeout(Some(PROGRESS_TIMEOUT))).await?;
    Ok(())
}
