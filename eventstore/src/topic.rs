//! Creates, checks and deletes the topics that the log is published to.

use std::time::{Duration, Instant};

use domain::context::BoundedContext;
use engine_security::{EngineTlsConfig, KafkaSaslConfig, KafkaSecurity, KafkaSecurityProtocol};
use rdkafka::{
    ClientConfig,
    admin::{
        AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
        TopicResult,
    },
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{LogError, kafka_error},
    topic_admin::with_topic_admin,
};

/// Time limit of requests to the broker about topics.
pub(crate) const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a topic that was created may stay without partitions or leaders. A broker with little processor time knows
/// of them long after it has acknowledged the creation.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit of one look at a topic that was created, so that there are several within [`CREATION_TIMEOUT`].
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at a topic that changes.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Maximum size of a record, in bytes. Kafka's default, a tenth of it, is too small: the text of a solicitation is a
/// part of its event.
const MAX_RECORD_BYTES: &str = "10485760";

/// The cleanup policy that keeps every event until the topic's retention ends.
const DELETE_POLICY: &str = "delete";

/// Compression of the records that the relay publishes. Consumers read all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordCompression {
    /// None.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4: the least work for a broker and for consumers.
    Lz4,
    /// Zstandard: the smallest records.
    Zstd,
}

impl RecordCompression {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Settings of the broker and the topics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas; also taken from `KAFKA_BROKERS`.
    pub brokers: String,
    /// Prefix of topic names, e.g. `contracts`.
    pub topic_prefix: String,
    /// Number of partitions of each event topic. Fixed for the life of a topic: order holds only within a partition.
    pub partitions: i32,
    /// Replication factor of each partition.
    pub replication: i32,
    /// Retention of records, in hours; 0 is without limit. The log in Postgres keeps all events in any case.
    pub retention_hours: u64,
    /// How long the relay's producer waits for further records before it sends a batch, in milliseconds. More means fewer
    /// requests while there is much to send, and later records while there is little.
    pub linger_ms: u32,
    /// Compression of published records.
    pub compression: RecordCompression,
    /// Whether connections use TLS and authenticate a user.
    pub security_protocol: KafkaSecurityProtocol,
    /// The user.
    pub sasl: KafkaSaslConfig,
    /// Authorities and the client's certificate.
    pub tls: EngineTlsConfig,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic_prefix: "contracts".to_owned(),
            partitions: 4,
            replication: 1,
            retention_hours: 0,
            // Events that wait for each other already arrive together: the relay reads them by the batch.
            linger_ms: 1,
            compression: RecordCompression::default(),
            security_protocol: KafkaSecurityProtocol::default(),
            sasl: KafkaSaslConfig::default(),
            tls: EngineTlsConfig::default(),
        }
    }
}

impl KafkaConfig {
    /// The configuration that all clients of this broker have in common.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "medhub");
        config.set("reconnect.backoff.max.ms", "2000");
        // A broker that was away for a while may answer before it counts itself as available again. The client library
        // then forgets the only broker that it knows, and has to ask the addresses of the settings again. It must be
        // allowed to (not `none`), and should not wait for its default of five minutes.
        config.set("metadata.recovery.strategy", "rebootstrap");
        config.set("metadata.recovery.rebootstrap.trigger.ms", "5000");
        for (key, value) in self.security().client_settings() {
            config.set(key, value);
        }
        config
    }

    /// How clients connect and authenticate.
    pub fn security(&self) -> KafkaSecurity<'_> {
        KafkaSecurity { protocol: self.security_protocol, sasl: &self.sasl, tls: &self.tls }
    }

    /// The configuration of a producer of events.
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", self.linger_ms.to_string())
            .set("compression.type", self.compression.name())
            // No time-out: if a record were dropped and later ones succeeded, an aggregate's events would be out of
            // order.
            .set("message.timeout.ms", "0")
            // A refused record ends the producer, for the same reason: by default later ones would be sent.
            .set("enable.gapless.guarantee", "true")
            .set("message.max.bytes", MAX_RECORD_BYTES);
        config
    }

    fn expected_topics(&self) -> impl Iterator<Item = (String, i32)> + '_ {
        BoundedContext::ALL.into_iter().flat_map(|context| {
            [(context.topic(&self.topic_prefix), self.partitions), (context.dead_letter_topic(&self.topic_prefix), 1)]
        })
    }
}

/// Creates the missing topics and checks the partitions of the existing ones.
///
/// # Errors
/// [`LogError::Partitions`] when a topic has fewer partitions than configured, [`LogError::Topic`] when the broker
/// refuses one, [`LogError::Kafka`] when it does not answer.
pub async fn ensure_topics(config: &KafkaConfig) -> Result<(), LogError> {
    let retention_ms = match config.retention_hours {
        0 => "-1".to_owned(),
        hours => hours.saturating_mul(3_600_000).to_string(),
    };
    let names: Vec<_> = config.expected_topics().collect();
    let (topics, replication) = (names.clone(), config.replication);
    with_topic_admin(config, async move |admin| {
        let new_topics: Vec<_> = topics
            .iter()
            .map(|(name, partitions)| {
                NewTopic::new(name, *partitions, TopicReplication::Fixed(replication))
                    .set("retention.ms", &retention_ms)
                    // Not the broker's default: a compacted topic keeps only the last event of each stream.
                    .set("cleanup.policy", DELETE_POLICY)
                    .set("max.message.bytes", MAX_RECORD_BYTES)
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(BROKER_TIMEOUT)).request_timeout(Some(BROKER_TIMEOUT));
        let results = admin.create_topics(&new_topics, &options).await.map_err(kafka_error("creating topics"))?;
        check_results(results, RDKafkaErrorCode::TopicAlreadyExists)
    })
    .await?;
    let config = config.clone();
    run_blocking(move || check_partition_counts(&config, &names)).await
}

/// Deletes the event topics and creates them again, empty. Their events remain in the log.
///
/// # Errors
/// [`LogError::Topic`] when the broker refuses, [`LogError::Kafka`] when it does not answer, and the errors of
/// [`ensure_topics`].
pub async fn recreate_topics(config: &KafkaConfig) -> Result<(), LogError> {
    let names = BoundedContext::ALL.map(|context| context.topic(&config.topic_prefix));
    with_topic_admin(config, async move |admin| {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(BROKER_TIMEOUT)).request_timeout(Some(BROKER_TIMEOUT));
        let results = admin.delete_topics(&names, &options).await.map_err(kafka_error("deleting topics"))?;
        check_results(results, RDKafkaErrorCode::UnknownTopicOrPartition)
    })
    .await?;
    let deleted = config.clone();
    run_blocking(move || await_deletion(&deleted)).await?;
    ensure_topics(config).await
}

/// Succeeds if every topic was changed as requested, or already had that state, which `unchanged` recognises.
fn check_results(results: Vec<TopicResult>, unchanged: RDKafkaErrorCode) -> Result<(), LogError> {
    for result in results {
        if let Err((topic, code)) = result
            && code != unchanged
        {
            return Err(LogError::Topic { topic, reason: code.to_string() });
        }
    }
    Ok(())
}

/// Waits until the topics are deleted: brokers acknowledge a deletion before it is complete.
fn await_deletion(config: &KafkaConfig) -> Result<(), LogError> {
    let consumer: BaseConsumer = config.client_config().create().map_err(kafka_error("creating a client"))?;
    let deadline = Instant::now() + BROKER_TIMEOUT;
    for context in BoundedContext::ALL {
        let topic = context.topic(&config.topic_prefix);
        while partition_count(&consumer, &topic)? > 0 {
            if Instant::now() > deadline {
                return Err(LogError::Topic { topic, reason: "it still exists after its deletion".to_owned() });
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }
    Ok(())
}

/// Checks that no event topic is compacted, which would keep only the last event of each stream. Passes when the broker
/// does not return its settings.
///
/// # Errors
/// [`LogError::Compacted`] naming the first topic with another policy than `delete`, [`LogError::Kafka`] when no client
/// can be created.
pub async fn check_cleanup_policies(config: &KafkaConfig) -> Result<(), LogError> {
    match load_cleanup_policies(config).await?.into_iter().find(|(_, policy)| policy != DELETE_POLICY) {
        Some((topic, policy)) => Err(LogError::Compacted { topic, policy }),
        None => Ok(()),
    }
}

/// The event topics with their `cleanup.policy`, as far as the broker returns it.
async fn load_cleanup_policies(config: &KafkaConfig) -> Result<Vec<(String, String)>, LogError> {
    let names = BoundedContext::ALL.map(|context| context.topic(&config.topic_prefix));
    let described = with_topic_admin(config, async move |admin| {
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(BROKER_TIMEOUT));
        Ok(admin.describe_configs(&resources, &options).await.unwrap_or_else(|error| {
            tracing::debug!(error = %error, "the broker does not return the cleanup policies of topics");
            vec![]
        }))
    })
    .await?;
    let policy = |found: Result<ConfigResource, RDKafkaErrorCode>| {
        let found = found.ok()?;
        let policy = found.get("cleanup.policy")?.value.clone()?;
        match found.specifier {
            OwnedResourceSpecifier::Topic(name) => Some((name, policy)),
            OwnedResourceSpecifier::Group(_) | OwnedResourceSpecifier::Broker(_) => None,
        }
    };
    Ok(described.into_iter().filter_map(policy).collect())
}

/// Lists the problems of the topics: a message for each, and whether it stops publishing.
///
/// # Errors
/// [`LogError::Kafka`] when the broker does not answer.
pub async fn diagnose_topics(config: &KafkaConfig) -> Result<Vec<(String, bool)>, LogError> {
    let mut problems = vec![];
    if let Err(compacted) = check_cleanup_policies(config).await {
        problems.push((compacted.to_string(), true));
    }
    let kafka_config = config.clone();
    let counts = run_blocking(move || {
        let consumer: BaseConsumer = kafka_config.client_config().create().map_err(kafka_error("creating a client"))?;
        let count = |context: BoundedContext| {
            let topic = context.topic(&kafka_config.topic_prefix);
            partition_count(&consumer, &topic).map(|count| (topic, count))
        };
        BoundedContext::ALL.into_iter().map(count).collect::<Result<Vec<_>, _>>()
    });
    let expected = usize::try_from(config.partitions).unwrap_or_default();
    for (topic, count) in counts.await? {
        if count == 0 {
            problems.push((format!("topic {topic} does not exist; `medhub migrate` creates it"), true));
        } else if count < expected {
            problems.push((LogError::Partitions { topic, found: count, expected }.to_string(), true));
        } else if count > expected {
            problems.push((extra_partitions_message(&topic, count, expected), false));
        }
    }
    Ok(problems)
}

fn extra_partitions_message(topic: &str, found: usize, expected: usize) -> String {
    format!(
        "topic {topic} has {found} partitions, {expected} are configured (kafka.partitions): events are published \
         only to the first {expected}, where the earlier events of each stream are; the others stay empty"
    )
}

/// Checks that a topic has at least the configured partitions. Additional ones are logged and not used: if they were,
/// the later events of a stream could be on another partition than the earlier ones.
pub(crate) fn check_partitions(topic: &str, found: usize, expected: usize) -> Result<(), LogError> {
    if found < expected {
        return Err(LogError::Partitions { topic: topic.to_owned(), found, expected });
    }
    if found > expected {
        tracing::warn!("{}", extra_partitions_message(topic, found, expected));
    }
    Ok(())
}

fn check_partition_counts(config: &KafkaConfig, expected: &[(String, i32)]) -> Result<(), LogError> {
    let consumer: BaseConsumer = config.client_config().create().map_err(kafka_error("creating a client"))?;
    for (topic, partitions) in expected {
        let expected = usize::try_from(*partitions).unwrap_or_default();
        check_partitions(topic, await_partition_count(&consumer, topic)?, expected)?;
    }
    Ok(())
}

/// Like [`partition_count`], for a topic that was just created: brokers acknowledge a creation before all of them know
/// the topic, and before its partitions have leaders. A number other than zero is final.
fn await_partition_count(consumer: &BaseConsumer, topic: &str) -> Result<usize, LogError> {
    let deadline = Instant::now() + CREATION_TIMEOUT;
    loop {
        let found = look_up_partitions(consumer, topic);
        let is_known = found.as_ref().is_ok_and(|found| *found > 0);
        if is_known || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// The number of partitions of a topic, once all of them have leaders; 0 when it does not exist.
fn look_up_partitions(consumer: &BaseConsumer, topic: &str) -> Result<usize, LogError> {
    let found = fetch_partition_count(consumer, topic, LOOK_TIMEOUT)?;
    check_partition_leaders(consumer, topic, found)?;
    Ok(found)
}

fn check_partition_leaders(consumer: &BaseConsumer, topic: &str, partitions: usize) -> Result<(), LogError> {
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        consumer.fetch_watermarks(topic, partition, LOOK_TIMEOUT).map_err(kafka_error("reading a partition's end"))?;
    }
    Ok(())
}

/// The number of partitions of a topic; 0 when it does not exist.
pub(crate) fn partition_count(consumer: &BaseConsumer, topic: &str) -> Result<usize, LogError> {
    fetch_partition_count(consumer, topic, BROKER_TIMEOUT)
}

fn fetch_partition_count(consumer: &BaseConsumer, topic: &str, timeout: Duration) -> Result<usize, LogError> {
    let metadata =
        consumer.fetch_metadata(Some(topic), timeout).map_err(kafka_error("reading a topic's partitions"))?;
    Ok(metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len()))
}

/// Runs a blocking client call on a thread for blocking work.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
