//! A producer whose delivery reports are polled by a thread of its own.
//!
//! It replaces rdkafka's `ThreadedProducer`, which polls for a tenth of a second at a time and spins during the last
//! millisecond of each: an idle relay would use most of a hundredth of a core for nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    config::FromClientConfigAndContext,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer, PurgeConfig},
};

use super::pending_deliveries::{DeliveryContext, PendingDeliveries};
use crate::{
    error::{LogError, kafka_error},
    topic::KafkaConfig,
};

/// Duration of a poll: the thread of a dropped producer ends after at most this time. Reports end a poll at once.
const POLL_DURATION: Duration = Duration::from_secs(2);

/// The record of an event or a beacon.
pub(super) type OutgoingRecord<'a> = BaseRecord<'a, [u8], [u8], Arc<PendingDeliveries>>;

/// An idempotent producer. When it is dropped, it gives up the records that Kafka has not acknowledged.
pub(super) struct PolledProducer {
    producer: Arc<BaseProducer<DeliveryContext>>,
    is_dropped: Arc<AtomicBool>,
}

impl PolledProducer {
    /// Creates a producer and its thread.
    ///
    /// # Errors
    /// [`LogError::Kafka`] when the settings are invalid or there is no thread.
    pub(super) fn start(config: &KafkaConfig) -> Result<Self, LogError> {
        let doing = || kafka_error("creating the producer");
        let created = BaseProducer::from_config_and_context(&config.producer_config(), DeliveryContext);
        let producer: Arc<BaseProducer<DeliveryContext>> = Arc::new(created.map_err(doing())?);
        let is_dropped = Arc::new(AtomicBool::new(false));
        let (polled, stop) = (Arc::clone(&producer), Arc::clone(&is_dropped));
        let poll_until_dropped = move || {
            while !stop.load(Ordering::Acquire) {
                polled.poll(POLL_DURATION);
            }
        };
        let no_thread = |error: io::Error| KafkaError::ClientCreation(error.to_string());
        let thread = thread::Builder::new().name("relay deliveries".to_owned()).spawn(poll_until_dropped);
        thread.map_err(no_thread).map_err(doing())?;
        Ok(Self { producer, is_dropped })
    }

    /// The client library's producer.
    pub(super) fn client(&self) -> &Arc<BaseProducer<DeliveryContext>> {
        &self.producer
    }
}

impl Drop for PolledProducer {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Release);
        // No record of this relay may arrive after the next leader has started.
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}
