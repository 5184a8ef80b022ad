//! The clients and settings that all parts of the runtime share.

use std::sync::{Arc, Mutex, PoisonError};

use domain::log_reader::LogReader;
use rdkafka::error::KafkaError;
use schemas::registry_client::SchemaRegistryClient;
use tokio::sync::Semaphore;

use super::{
    AnyProjection, ConsumerConfig, ControlStore,
    consumer::{PartitionCounts, RecentEndOffsets, fetch_partition_counts},
};

/// How many batches the rebuilds of a process write at the same time: half of the connections of a pool of the default
/// size. Readers of the log, leases and workers need the others.
const MAX_FILL_WRITES: usize = 10;

/// The clients and settings that all parts of the runtime share. Cheap to clone.
#[derive(Clone)]
pub struct ProjectionRuntime {
    pub(super) control: ControlStore,
    pub(super) log: Arc<dyn LogReader>,
    pub(super) registry: SchemaRegistryClient,
    pub(super) config: ConsumerConfig,
    /// One permit for each batch that rebuilds may write.
    pub(super) fill_writes: Arc<Semaphore>,
    /// Partition counts fetched so far: the count is fixed for the life of a topic.
    known_partitions: Arc<Mutex<PartitionCounts>>,
    /// The end offsets of the latest measurement of the lag.
    pub(super) recent_ends: Arc<RecentEndOffsets>,
}

impl ProjectionRuntime {
    /// Creates a runtime over its tables in Postgres, the log, and the registry that has the schemas of the events.
    pub fn new(
        control: ControlStore,
        log: Arc<dyn LogReader>,
        registry: SchemaRegistryClient,
        config: ConsumerConfig,
    ) -> Self {
        let fill_writes = Arc::new(Semaphore::new(MAX_FILL_WRITES));
        Self {
            control,
            log,
            registry,
            config,
            fill_writes,
            known_partitions: Arc::default(),
            recent_ends: Arc::default(),
        }
    }

    /// The same runtime over other connections to the same Postgres.
    #[must_use]
    pub fn with_connections(&self, control: ControlStore, log: Arc<dyn LogReader>) -> Self {
        Self { control, log, ..self.clone() }
    }

    /// The runtime's state in Postgres.
    pub fn control(&self) -> &ControlStore {
        &self.control
    }

    /// The log.
    pub fn log(&self) -> &dyn LogReader {
        self.log.as_ref()
    }

    /// How many partitions of each topic of a projection carry events.
    pub(super) async fn partition_counts(&self, projection: &dyn AnyProjection) -> Result<PartitionCounts, KafkaError> {
        let topics = self.config.topics(projection.subscribed_contexts());
        if let Some(configured) = self.config.partitions {
            // Fixed for the life of the topics: partitions that are added to them carry no events.
            return Ok(topics.into_iter().map(|topic| (topic, configured)).collect());
        }
        let known = self.known_partitions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known: PartitionCounts = known.into_iter().filter(|(topic, _)| topics.contains(topic)).collect();
        if known.len() == topics.len() {
            return Ok(known);
        }
        let found = fetch_partition_counts(&self.config, topics).await?;
        // A topic without partitions does not exist yet.
        let existing = found.iter().filter(|(_, count)| **count > 0).map(|(topic, count)| (topic.clone(), *count));
        self.known_partitions.lock().unwrap_or_else(PoisonError::into_inner).extend(existing);
        Ok(found)
    }
}
