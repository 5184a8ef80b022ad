//! Pings Kafka. One client for the lifetime of the process: each client starts its own threads.

use std::{sync::Arc, time::Duration};

use domain::context::BoundedContext;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

/// A client that requests metadata and never consumes.
pub(super) struct KafkaClient {
    client: BaseConsumer,
    topic: String,
}

impl KafkaClient {
    pub(super) fn new(config: &eventstore::topic::KafkaConfig) -> Result<Self, KafkaError> {
        let topic = BoundedContext::Opportunities.topic(&config.topic_prefix);
        Ok(Self { client: config.client_config().create()?, topic })
    }

    /// Checks that a broker answers within `timeout`.
    pub(super) async fn ping(self: &Arc<Self>, timeout: Duration) -> Result<(), KafkaError> {
        let kafka = Arc::clone(self);
        // Metadata of one topic only: a cluster may have thousands.
        let ping =
            tokio::task::spawn_blocking(move || kafka.client.fetch_metadata(Some(&kafka.topic), timeout).map(drop));
        match ping.await {
            Ok(answer) => answer,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}
