//! Asks Kafka whether it is there. One client for the life of the process: each starts threads of its own.

use std::{sync::Arc, time::Duration};

use domain::context::BoundedContext;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

/// A client that asks and never reads.
pub(super) struct KafkaClient {
    client: BaseConsumer,
    topic: String,
}

impl KafkaClient {
    pub(super) fn new(config: &eventstore::topic::KafkaConfig) -> Result<Self, KafkaError> {
        let topic = BoundedContext::Opportunities.topic(&config.topic_prefix);
        Ok(Self { client: config.client_config().create()?, topic })
    }

    /// Whether a broker answers within `patience`.
    pub(super) async fn ping(self: &Arc<Self>, patience: Duration) -> Result<(), KafkaError> {
        let kafka = Arc::clone(self);
        // About one topic only: a cluster may have thousands.
        let asked =
            tokio::task::spawn_blocking(move || kafka.client.fetch_metadata(Some(&kafka.topic), patience).map(drop));
        match asked.await {
            Ok(answer) => answer,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}
