//! Listens to rebalances of the consumer group.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};

use super::{partition_assignment::PartitionAssignment, partitions::to_partition_list};
use crate::runtime::worker_status::StatusWriter;

/// How long a revocation waits for the batches in flight. The group waits meanwhile. A batch that takes longer may
/// still be written while the new owner of the partition writes the same events, which changes nothing.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Updates the assignment and the worker's status.
pub(in crate::runtime) struct RebalanceListener {
    name: &'static str,
    status: StatusWriter,
    assignment: Arc<PartitionAssignment>,
}

impl RebalanceListener {
    pub(super) fn new(name: &'static str, status: StatusWriter, assignment: Arc<PartitionAssignment>) -> Self {
        Self { name, status, assignment }
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
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else { return };
        match self.assignment.revoke(partitions, REVOCATION_TIMEOUT) {
            Some(offsets) if offsets.is_empty() => {}
            Some(offsets) => {
                // Without it, the new owner consumes these records again, which changes nothing.
                let committed = to_partition_list(&offsets).and_then(|list| consumer.commit(&list, CommitMode::Async));
                if let Err(error) = committed {
                    tracing::debug!(projection.name = self.name, error = %error, "committing revoked offsets failed");
                }
            }
            None => tracing::warn!(projection.name = self.name, "partitions revoked while a batch is in flight"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        metrics::counter!("medhub_projection_rebalances_total", "projection" => self.name).increment(1);
        match rebalance {
            Rebalance::Assign(partitions) => {
                self.assignment.assign(partitions);
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
