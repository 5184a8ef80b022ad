//! Counts the records of each batch that Kafka has not acknowledged.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use domain::envelope::PartitionProgress;
use rdkafka::{
    ClientContext, Message,
    error::KafkaError,
    message::{BorrowedMessage, Headers},
    producer::{DeliveryResult, ProducerContext},
};
use tokio::sync::Notify;

use crate::error::LogError;

/// The number of unacknowledged records of one batch. The sender counts as one record until it has added all of them,
/// so that the number does not reach 0 before.
#[derive(Debug)]
pub(super) struct PendingDeliveries {
    records: AtomicUsize,
    failure: OnceLock<ProduceFailure>,
    changed: Notify,
}

#[derive(Debug, Clone)]
struct ProduceFailure {
    position: u64,
    source: KafkaError,
}

impl PendingDeliveries {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { records: AtomicUsize::new(1), failure: OnceLock::new(), changed: Notify::new() })
    }

    pub(super) fn add_record(&self) {
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    /// Subtracts one record, or the sender's own count.
    pub(super) fn complete_record(&self) {
        if self.records.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_one();
        }
    }

    fn record_failure(&self, position: u64, source: KafkaError) {
        // The first failure is the one to report.
        let _later = self.failure.set(ProduceFailure { position, source });
        self.changed.notify_one();
    }

    pub(super) fn count(&self) -> usize {
        self.records.load(Ordering::Acquire)
    }

    /// Waits until every record is acknowledged.
    ///
    /// # Errors
    /// [`LogError::Delivery`] for the first record that Kafka refused.
    pub(super) async fn wait_until_acknowledged(&self) -> Result<(), LogError> {
        loop {
            if let Some(ProduceFailure { position, source }) = self.failure.get() {
                return Err(LogError::Delivery { position: *position, source: source.clone() });
            }
            if self.count() == 0 {
                return Ok(());
            }
            self.changed.notified().await;
        }
    }
}

/// Receives the delivery reports of the client library.
#[derive(Debug)]
pub(super) struct DeliveryContext;

impl ClientContext for DeliveryContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = %error, reason, "Kafka client error");
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Arc<PendingDeliveries>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, outstanding: Self::DeliveryOpaque) {
        match delivery {
            Ok(_) => outstanding.complete_record(),
            Err((source, message)) => outstanding.record_failure(message_position(message), source.clone()),
        }
    }
}

fn message_position(message: &BorrowedMessage<'_>) -> u64 {
    let header = |name: &str| message.headers()?.iter().find(|header| header.key == name)?.value;
    PartitionProgress::from_headers(header).map(|end| end.watermark).unwrap_or_default()
}
