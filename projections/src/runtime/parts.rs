//! What every part of the runtime works with.

use std::sync::{Arc, Mutex, PoisonError};

use domain::log::LogReader;
use rdkafka::error::KafkaError;
use schemas::registry::Registry;

use super::{
    AnyProjection, Control, KafkaConfig,
    intake::{Partitions, partitions},
};

/// What every part of the runtime works with. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(super) control: Control,
    pub(super) log: Arc<dyn LogReader>,
    pub(super) registry: Registry,
    pub(super) config: KafkaConfig,
    /// How many partitions topics have, as far as somebody asked: it is fixed for the life of a topic.
    known: Arc<Mutex<Partitions>>,
}

impl Runtime {
    /// A runtime over its tables in Postgres, the log itself, and the schemas that events were written with.
    pub fn new(control: Control, log: Arc<dyn LogReader>, registry: Registry, config: KafkaConfig) -> Self {
        Self { control, log, registry, config, known: Arc::default() }
    }

    /// What it keeps in Postgres.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The log itself.
    pub fn log(&self) -> &dyn LogReader {
        self.log.as_ref()
    }

    /// How many partitions of the topics of a projection carry events.
    pub(super) async fn partitions(&self, projection: &dyn AnyProjection) -> Result<Partitions, KafkaError> {
        let topics = self.config.topics(projection.subscribes());
        if let Some(configured) = self.config.partitions {
            // Fixed for the life of the topics, whatever partitions somebody adds to them.
            return Ok(topics.into_iter().map(|topic| (topic, configured)).collect());
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known: Partitions = known.into_iter().filter(|(topic, _)| topics.contains(topic)).collect();
        if known.len() == topics.len() {
            return Ok(known);
        }
        let found = partitions(&self.config, topics).await?;
        // A topic without partitions is not there yet.
        let settled = found.iter().filter(|(_, count)| **count > 0).map(|(topic, count)| (topic.clone(), *count));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend(settled);
        Ok(found)
    }
}
