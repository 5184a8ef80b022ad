//! The client that creates, describes and deletes topics.

use rdkafka::{admin::AdminClient, client::DefaultClientContext};
use tokio::runtime::Handle;

use crate::{
    error::{LogError, kafka_error},
    topic::{KafkaConfig, run_blocking},
};

/// A client for topics.
pub(crate) type TopicAdmin = AdminClient<DefaultClientContext>;

/// Uses a client on a thread for blocking work. It ends there even if no caller waits any longer: it waits for a token
/// that the client library is fetching at that moment, for minutes if the endpoint does not answer.
pub(crate) async fn with_topic_admin<T: Send + 'static>(
    config: &KafkaConfig,
    work: impl AsyncFnOnce(&TopicAdmin) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let (config, runtime) = (config.clone(), Handle::current());
    run_blocking(move || {
        let admin: TopicAdmin = config.client_config().create().map_err(kafka_error("creating an admin client"))?;
        runtime.block_on(work(&admin))
    })
    .await
}
