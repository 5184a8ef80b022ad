//! A relay without the fence, as one would first write it: it reads the events after the last position it saw and
//! publishes them. It loses events that commit later at a lower position, and the audit must find that.

use std::time::Duration;

use anyhow::Context as _;
use domain::{
    context::BoundedContext as Topic,
    envelope::{RawEnvelope, to_headers},
    partition::partition_for_key,
};
use eventstore::{log, topic::KafkaConfig};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{append_writer::writer_session::WriterSession, fault_environment::FaultEnvironment};

const BATCH_EVENTS: u32 = 2_000;
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running naive relay.
#[derive(Debug)]
pub struct NaiveRelay {
    position: watch::Receiver<u64>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl NaiveRelay {
    /// Starts the relay, with the settings of the product's producer.
    ///
    /// # Errors
    /// If the producer cannot be created.
    pub fn start(environment: &FaultEnvironment) -> anyhow::Result<Self> {
        let producer: FutureProducer = environment
            .kafka
            .client_config()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("message.timeout.ms", "0")
            .create()
            .context("creating a producer")?;
        let (published, position) = watch::channel(0);
        let stop = CancellationToken::new();
        let session = WriterSession::new(&environment.url, "faults-naive-relay");
        let task = tokio::spawn(relay_events(session, producer, environment.kafka.clone(), published, stop.clone()));
        Ok(Self { position, stop, task })
    }

    /// Waits until it has published an event at or after `position`.
    ///
    /// # Errors
    /// If it does not within `timeout`.
    pub async fn wait_until_published(&self, position: u64, timeout: Duration) -> anyhow::Result<()> {
        let mut reached = self.position.clone();
        let waited = tokio::time::timeout(timeout, reached.wait_for(|reached| *reached >= position)).await;
        waited.with_context(|| format!("the naive relay is at {}, not at {position}", *self.position.borrow()))??;
        Ok(())
    }

    /// Stops the relay.
    ///
    /// # Errors
    /// If it failed before.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn relay_events(
    mut session: WriterSession,
    producer: FutureProducer,
    kafka: KafkaConfig,
    published: watch::Sender<u64>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut last = 0;
    while !stop.is_cancelled() {
        // The product reads the fence first here, and stays below it.
        let batch = log::read_after(session.connection().await?, last, u64::MAX, BATCH_EVENTS).await?;
        publish_batch(&producer, &kafka, &batch).await?;
        match batch.last() {
            Some(event) => last = event.position,
            None => tokio::time::sleep(POLL_INTERVAL).await,
        }
        published.send_replace(last);
    }
    Ok(())
}

async fn publish_batch(producer: &FutureProducer, kafka: &KafkaConfig, batch: &[RawEnvelope]) -> anyhow::Result<()> {
    let mut deliveries = Vec::new();
    for event in batch {
        let topic = Topic::from_aggregate_type(&event.aggregate_type)
            .context("unknown aggregate type")?
            .topic(&kafka.topic_prefix);
        let headers = to_headers(event)
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let record = FutureRecord::to(&topic)
            .partition(partition_for_key(&event.aggregate_id, kafka.partitions))
            .key(&event.aggregate_id)
            .payload(&event.payload)
            .headers(headers);
        let sent = producer.send_result(record).map_err(|(error, _)| error);
        deliveries.push(sent.context("publishing an event")?);
    }
    for delivery in deliveries {
        delivery.await?.map_err(|(error, _)| error).context("publishing an event")?;
    }
    Ok(())
}
