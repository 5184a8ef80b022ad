//! Listens to rebalances of the consumer group.

use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};

use crate::runtime::worker_status::StatusWriter;

/// Counts assignment changes and updates the worker's status.
pub(in crate::runtime) struct RebalanceListener {
    name: &'static str,
    status: StatusWriter,
    /// Grows with every change of the assignment.
    pub(super) assignment_version: AtomicU64,
}

impl RebalanceListener {
    pub(super) fn new(name: &'static str, status: StatusWriter) -> Self {
        Self { name, status, assignment_version: AtomicU64::new(1) }
    }
}

impl ClientContext for RebalanceListener {
    fn error(&self, error: KafkaError, reason: &str) {
        if self.status.record_consumer_error(format!("{error}: {reason}")) {
            tracing::warn!(projection.name = self.name, error = %error, reason, "broker error");
        }
    }
}

impl ConsumerContext for RebalanceListener {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.assignment_version.fetch_add(1, Ordering::AcqRel);
        metrics::counter!("medhub_projection_rebalances_total", "projection" => self.name).increment(1);
        match rebalance {
            Rebalance::Assign(partitions) => {
                // The client library keeps a partition paused after its revocation. If it was revoked while the worker
                // waited for a store, it would never be consumed again after its next assignment.
                if let Err(error) = consumer.resume(partitions) {
                    tracing::warn!(projection.name = self.name, error = %error, "resuming assigned partitions failed");
                }
                tracing::debug!(projection.name = self.name, partitions = partitions.count(), "partitions assigned");
            }
            Rebalance::Revoke(partitions) => {
                tracing::debug!(projection.name = self.name, partitions = partitions.count(), "partitions revoked");
            }
            Rebalance::Error(error) => {
                tracing::warn!(projection.name = self.name, error = %error, "rebalancing failed");
            }
        }
        let partitions = consumer.assignment().map_or(0, |assignment| assignment.count());
        self.status.set_partitions(partitions);
    }
}
