//! Pings Kafka. One client for the lifetime of the process: each client starts its own threads.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::context::BoundedContext;
use engine_security::EngineTlsConfig;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

/// Timeout of a look at the certificate of a broker.
const VERIFY_WITHIN: Duration = Duration::from_millis(200);

/// A client that requests metadata and never consumes.
pub(super) struct KafkaClient {
    client: BaseConsumer<ConnectionLog>,
    topic: String,
    brokers: String,
    tls: EngineTlsConfig,
}

/// Why Kafka does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", last_failure.as_deref().unwrap_or("no broker answers"))]
pub struct KafkaPingError {
    /// What the client library has logged last about a connection: why TLS or the authentication failed. Its error only
    /// says that no broker answers.
    last_failure: Option<String>,
    #[source]
    source: KafkaError,
}

/// Keeps the last failed connection that the client library reports.
#[derive(Default)]
struct ConnectionLog {
    last_failure: Mutex<Option<String>>,
}

impl ConnectionLog {
    fn take_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for ConnectionLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // `FAIL` is a connection that could not be opened or was lost; the client retries by itself.
        if facility == "FAIL" {
            // Begins with the names of the client and of its thread.
            let text = message.split_once("]: ").map_or(message, |(_, text)| text);
            *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
        tracing::debug!(?level, facility, message, "message of the Kafka client");
    }
}

impl ConsumerContext for ConnectionLog {}

impl KafkaClient {
    pub(super) fn new(config: &eventstore::topic::KafkaConfig) -> Result<Self, KafkaError> {
        let topic = BoundedContext::Opportunities.topic(&config.topic_prefix);
        let client = config.client_config().create_with_context(ConnectionLog::default())?;
        Ok(Self { client, topic, brokers: config.brokers.clone(), tls: config.tls.clone() })
    }

    /// Checks that a broker answers within `timeout`.
    pub(super) async fn ping(self: &Arc<Self>, timeout: Duration) -> Result<(), KafkaPingError> {
        let kafka = Arc::clone(self);
        // Metadata of one topic only: a cluster may have thousands.
        let ping =
            tokio::task::spawn_blocking(move || kafka.client.fetch_metadata(Some(&kafka.topic), timeout).map(drop));
        let answer = match ping.await {
            Ok(answer) => answer,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        };
        let Err(source) = answer else { return Ok(()) };
        let mut last_failure = self.client.context().take_failure();
        if let Some(failure) = &mut last_failure
            && failure.contains("certificate verify failed")
            && let Some(verdict) = self.verify_certificate().await
        {
            failure.push_str(": ");
            failure.push_str(&verdict);
        }
        Err(KafkaPingError { last_failure, source })
    }

    /// Why the certificate of the first broker is not valid: the client library does not tell an expired certificate from
    /// one of an unknown authority. `None` if that cannot be determined.
    async fn verify_certificate(&self) -> Option<String> {
        let (host, port) = self.brokers.split(',').next()?.trim().rsplit_once(':')?;
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let connector = TlsConnector::from(Arc::new(self.tls.client_config().ok()?));
        let handshake = async {
            let connection = TcpStream::connect((host, port.parse().unwrap_or_default())).await?;
            connector.connect(name, connection).await
        };
        let outcome = tokio::time::timeout(VERIFY_WITHIN, handshake).await.ok()?;
        outcome.err().map(|error| error.to_string())
    }
}
