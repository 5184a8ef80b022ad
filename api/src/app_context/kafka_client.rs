//! Pings Kafka. One client for the lifetime of the process: each client starts its own threads.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
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

/// How long a ping waits for another broker after one has refused the connection.
const REFUSAL_PAUSE: Duration = Duration::from_millis(500);

/// How often the client library is asked for its reports while a ping waits.
const REPORT_INTERVAL: Duration = Duration::from_millis(20);

/// Reports that are read then; it writes no more in an interval.
const REPORTS_AT_A_TIME: usize = 16;

/// Reports that are read before a ping: more than the client library writes between two of them, since it tries to connect
/// less and less often.
const REPORTS_BEFORE_A_PING: usize = 256;

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
    /// The last report of the client library about a connection, possibly from before this ping, with the reason why
    /// TLS or authentication failed. Its error only says that no broker answers.
    last_failure: Option<String>,
    /// `None` if the ping did not wait for it.
    #[source]
    source: Option<KafkaError>,
}

/// Keeps the last failed connection that the client library reports. It reports the same failure of a broker every 30 s
/// at most, so one report explains failed pings until a ping succeeds. A ping is only ended early by a refusal that is
/// reported meanwhile: the broker may have been repaired since an older one.
#[derive(Default)]
struct ConnectionLog {
    last_failure: Mutex<Option<String>>,
    /// How many refusals have been reported.
    refusals: AtomicU64,
}

impl ConnectionLog {
    fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_failure(&self, failure: Option<String>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn count_refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    fn has_refusal(&self) -> bool {
        self.last_failure().is_some_and(|failure| is_refusal(&failure))
    }

    /// Keeps a failure and counts a refusal.
    fn record(&self, failure: &str) {
        if is_refusal(failure) {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        // A broker that refuses also hangs up, which says less.
        let says_less = failure.contains("Disconnected") && !is_refusal(failure) && self.has_refusal();
        if !says_less {
            self.set_last_failure(Some(failure.to_owned()));
        }
    }
}

/// The client library's error about a token that it did not get, or could not use. Only some of these failures are also
/// reported to the log, with the endpoint.
const TOKEN_FAILURE: &str = "OAUTHBEARER token";

/// Whether TLS or authentication has failed: then retries of the client library do not help.
fn is_refusal(failure: &str) -> bool {
    ["SSL", "SASL", "OIDC", "uthenticat"].iter().any(|word| failure.contains(word))
}

impl ClientContext for ConnectionLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // `FAIL` is a connection that could not be opened or was lost, `OIDC` a token that no endpoint gave; the client retries by
        // itself.
        if ["FAIL", "OIDC"].contains(&facility) {
            // Begins with the names of the client and of its thread.
            self.record(message.split_once("]: ").map_or(message, |(_, text)| text));
        }
        tracing::debug!(?level, facility, message, "message of the Kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let cause = reason.split_once(": ").map_or(reason, |(_, cause)| cause);
        let is_known = self.last_failure().is_some_and(|failure| failure.contains(cause));
        if reason.contains(TOKEN_FAILURE) && !is_known {
            self.record(reason);
        }
        tracing::debug!(%error, reason, "error of the Kafka client");
    }
}

impl ConsumerContext for ConnectionLog {}

impl KafkaClient {
    pub(super) fn new(config: &eventstore::topic::KafkaConfig) -> Result<Self, KafkaError> {
        let topic = BoundedContext::Opportunities.topic(&config.topic_prefix);
        let mut settings = config.client_config();
        // Some refusals are no errors to it, such as the end of a connection without TLS.
        settings.set_log_level(RDKafkaLogLevel::Info);
        let client = settings.create_with_context(ConnectionLog::default())?;
        Ok(Self { client, topic, brokers: config.brokers.clone(), tls: config.tls.clone() })
    }

    /// Checks that a broker answers within `timeout`.
    pub(super) async fn ping(self: &Arc<Self>, timeout: Duration) -> Result<(), KafkaPingError> {
        // What has been reported since the last ping.
        self.read_reports(REPORTS_BEFORE_A_PING);
        let earlier_refusals = self.client.context().count_refusals();
        let kafka = Arc::clone(self);
        // Metadata of one topic only: a cluster may have thousands.
        let mut metadata = tokio::task::spawn_blocking(move || {
            let answer = kafka.client.fetch_metadata(Some(&kafka.topic), timeout).map(drop);
            if answer.is_ok() {
                // Here, for a ping that does not wait for the answer, too.
                kafka.client.context().set_last_failure(None);
            }
            answer
        });
        let refusal = async {
            self.wait_for_refusal(earlier_refusals).await;
            // Another broker may answer.
            tokio::time::sleep(REFUSAL_PAUSE).await;
        };
        let source = tokio::select! {
            answer = &mut metadata => match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => Some(error),
                Err(ended) => std::panic::resume_unwind(ended.into_panic()),
            },
            // The request ends by itself.
            () = refusal => None,
        };
        let mut last_failure = self.client.context().last_failure();
        if let Some(failure) = &mut last_failure
            && failure.contains("certificate verify failed")
            && let Some(verdict) = self.verify_certificate(failure).await
        {
            failure.push_str(": ");
            failure.push_str(&verdict);
        }
        if let Some(failure) = &mut last_failure
            && failure.contains("APIVERSION_QUERY")
            && !failure.contains("ssl://")
        {
            failure.push_str(": the broker hangs up on a client without TLS");
        }
        Err(KafkaPingError { last_failure, source })
    }

    /// Passes reports of the client library to the context; it keeps them until they are asked for.
    fn read_reports(&self, max: usize) {
        for _ in 0..max {
            // A report goes to the context, an error repeats one, and there are no records.
            drop(self.client.poll(Duration::ZERO));
        }
    }

    /// Returns once more refusals are reported than the `earlier` ones.
    async fn wait_for_refusal(&self, earlier: u64) {
        loop {
            self.read_reports(REPORTS_AT_A_TIME);
            if self.client.context().count_refusals() > earlier {
                return;
            }
            tokio::time::sleep(REPORT_INTERVAL).await;
        }
    }

    /// Why the certificate of the broker that a failure names is not valid: the client library does not distinguish an
    /// expired certificate from one of an unknown authority. `None` if that cannot be determined.
    async fn verify_certificate(&self, failure: &str) -> Option<String> {
        let (host, port) = find_broker_address(failure, &self.brokers)?;
        let name = ServerName::try_from(host.clone()).ok()?;
        let tls = self.tls.clone();
        // Reads the files of the settings, or all authorities of the system.
        let settings = tokio::task::spawn_blocking(move || tls.client_config()).await.ok()?.ok()?;
        let connector = TlsConnector::from(Arc::new(settings));
        let handshake = async {
            let connection = TcpStream::connect((host.as_str(), port)).await?;
            connector.connect(name, connection).await
        };
        let outcome = tokio::time::timeout(VERIFY_WITHIN, handshake).await.ok()?;
        outcome.err().map(|error| error.to_string())
    }
}

/// Host and port of the broker that the text of a failure names (`ssl://host:port/id` or `sasl_ssl://..`), or of the first
/// of `brokers`.
fn find_broker_address(failure: &str, brokers: &str) -> Option<(String, u16)> {
    let named = failure.split_once("ssl://").and_then(|(_, rest)| rest.split(['/', ' ']).next());
    let address = named.or_else(|| brokers.split(',').next())?;
    let (host, port) = address.trim().trim_end_matches(':').rsplit_once(':')?;
    // The brackets of an IPv6 address.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(log: &ConnectionLog, text: &str) {
        log.log(RDKafkaLogLevel::Error, "FAIL", &format!("[thrd:ssl://broker:9093/bootstrap]: {text}"));
    }

    #[test]
    fn the_certificate_of_the_broker_in_the_failure_is_reported() {
        let brokers = "first:9092, second:9094";
        for (failure, host, port) in [
            ("ssl://second:9094/bootstrap: SSL handshake failed: certificate verify failed", "second", 9094),
            ("sasl_ssl://b-2.kafka.example:9096/2: SSL handshake failed", "b-2.kafka.example", 9096),
            ("GroupCoordinator: ssl://second:9094: SSL handshake failed", "second", 9094),
            ("ssl://[::1]:9093/bootstrap: SSL handshake failed", "::1", 9093),
            ("SSL handshake failed: certificate verify failed", "first", 9092),
        ] {
            assert_eq!(find_broker_address(failure, brokers), Some((host.to_owned(), port)), "{failure}");
        }
        assert_eq!(find_broker_address("SSL handshake failed", "first"), None);
    }

    #[test]
    fn a_token_that_is_not_given_is_a_refusal_and_names_the_endpoint() {
        let error = || KafkaError::Global(rdkafka::types::RDKafkaErrorCode::Authentication);
        let log = ConnectionLog::default();
        let invalid = "Failed to acquire SASL OAUTHBEARER token: Expected JSON JWT response with \"exp\" field";
        log.error(error(), invalid);
        assert_eq!((log.count_refusals(), log.last_failure().as_deref()), (1, Some(invalid)));
        let refused = "Failed to retrieve OIDC token from \"https://login.example/token\": invalid_client (401)";
        log.log(RDKafkaLogLevel::Error, "OIDC", &format!("[thrd:background]: {refused}"));
        log.error(error(), "Failed to acquire SASL OAUTHBEARER token: invalid_client");
        assert_eq!((log.count_refusals(), log.last_failure().as_deref()), (2, Some(refused)));
        log.error(error(), invalid);
        assert_eq!((log.count_refusals(), log.last_failure().as_deref()), (3, Some(invalid)), "another reason");
        // Failures of brokers are logged as well.
        log.error(error(), "1/1 brokers are down");
        assert_eq!((log.count_refusals(), log.last_failure().as_deref()), (3, Some(invalid)));
    }

    #[test]
    fn every_refusal_counts_and_a_lost_connection_does_not_replace_it() {
        let log = ConnectionLog::default();
        report(&log, "ssl://broker:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused");
        // The address names the protocol, which is no refusal.
        assert_eq!(log.count_refusals(), 0);
        let refusal = "ssl://broker:9093/bootstrap: SSL handshake failed: certificate verify failed";
        for count in 1..=2 {
            report(&log, refusal);
            report(&log, "ssl://broker:9093/bootstrap: Disconnected (after 2ms in state CONNECT)");
            assert_eq!((log.count_refusals(), log.last_failure().as_deref()), (count, Some(refusal)));
        }
        // A ping that succeeds; the next one counts from here.
        log.set_last_failure(None);
        assert_eq!((log.count_refusals(), log.last_failure()), (2, None));
    }
}
