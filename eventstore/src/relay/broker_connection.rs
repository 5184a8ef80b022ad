//! Distinguishes a producer that has lost its broker from a broker that is away.
//!
//! A broker that was paused can answer with an empty list of brokers before it counts itself as available. The client
//! library then forgets the only broker that it knows. It is set to ask the configured addresses again; if it does not,
//! only a new client finds the broker.

use std::{sync::Arc, time::Duration};

use domain::context::BoundedContext;
use rdkafka::{
    client::{Client, ClientContext},
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, Producer},
};

use super::pending_deliveries::DeliveryContext;
use crate::topic::KafkaConfig;

/// How long a client has to return the brokers: twice as long as it pauses at most between two attempts to connect.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The connection of a producer to its broker.
pub(super) struct BrokerConnection {
    producer: Arc<BaseProducer<DeliveryContext>>,
    kafka: KafkaConfig,
}

impl BrokerConnection {
    pub(super) fn new(producer: Arc<BaseProducer<DeliveryContext>>, kafka: KafkaConfig) -> Self {
        Self { producer, kafka }
    }

    /// Whether the producer finds no broker while a new client does. Takes up to twice [`ANSWER_TIMEOUT`].
    pub(super) async fn is_lost(&self) -> bool {
        let (producer, kafka) = (Arc::clone(&self.producer), self.kafka.clone());
        let checking = tokio::task::spawn_blocking(move || {
            let topic = BoundedContext::ALL[0].topic(&kafka.topic_prefix);
            let Ok(new_client) = kafka.client_config().create::<BaseConsumer>() else { return false };
            finds_broker(new_client.client(), &topic) && !finds_broker(producer.client(), &topic)
        });
        checking.await.unwrap_or(false)
    }
}

fn finds_broker<C: ClientContext>(client: &Client<C>, topic: &str) -> bool {
    client.fetch_metadata(Some(topic), ANSWER_TIMEOUT).is_ok_and(|metadata| !metadata.brokers().is_empty())
}
