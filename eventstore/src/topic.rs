//! The topics that carry the log, and on which partition an aggregate travels.

use std::time::{Duration, Instant};

use domain::context::BoundedContext;
use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};

use crate::error::{LogError, kafka_error};

/// How long the broker may take to answer a question about topics.
pub(crate) const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest record, in bytes: a solicitation's text is a part of its event. Kafka's own default is a tenth of it.
const MAX_RECORD_BYTES: &str = "10485760";

/// The policy under which a topic keeps every event until retention takes it.
const DELETE_POLICY: &str = "delete";

/// Where and how events are published.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// `host:port`, several by commas; also taken from `KAFKA_BROKERS`.
    pub brokers: String,
    /// What topic names begin with, e.g. `contracts`.
    pub topic_prefix: String,
    /// Partitions of each topic of events. Fixed for the life of a topic: order is kept within a partition.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// How long records are kept, in hours; 0 keeps them for ever. The log in Postgres keeps everything anyway.
    pub retention_hours: u64,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic_prefix: "contracts".to_owned(),
            partitions: 4,
            replication: 1,
            retention_hours: 0,
        }
    }
}

impl KafkaConfig {
    /// What every client of this broker starts from.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "medhub");
        config
    }

    /// What a producer of events is made from.
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            // Never give up on a record: giving up on one while later ones succeed would reorder an aggregate.
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", MAX_RECORD_BYTES)
            .set("reconnect.backoff.max.ms", "2000");
        config
    }

    fn expected_topics(&self) -> impl Iterator<Item = (String, i32)> + '_ {
        BoundedContext::ALL.into_iter().flat_map(|context| {
            [(context.topic(&self.topic_prefix), self.partitions), (context.dead_letter_topic(&self.topic_prefix), 1)]
        })
    }
}

/// Creates the topics that are missing and checks the ones that are there.
///
/// # Errors
/// [`LogError::Partitions`] when a topic has fewer partitions than configured, [`LogError::Topic`] when the broker
/// refuses one, [`LogError::Kafka`] when it does not answer.
pub async fn ensure_topics(config: &KafkaConfig) -> Result<(), LogError> {
    let admin: AdminClient<DefaultClientContext> =
        config.client_config().create().map_err(kafka_error("creating an admin client"))?;
    let retention_ms = match config.retention_hours {
        0 => "-1".to_owned(),
        hours => hours.saturating_mul(3_600_000).to_string(),
    };
    let names: Vec<_> = config.expected_topics().collect();
    let wanted: Vec<_> = names
        .iter()
        .map(|(name, partitions)| {
            NewTopic::new(name, *partitions, TopicReplication::Fixed(config.replication))
                .set("retention.ms", &retention_ms)
                // Whatever the broker's default is: a compacted topic keeps the last event of a stream only.
                .set("cleanup.policy", DELETE_POLICY)
                .set("max.message.bytes", MAX_RECORD_BYTES)
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(BROKER_TIMEOUT)).request_timeout(Some(BROKER_TIMEOUT));
    let answers = admin.create_topics(&wanted, &options).await.map_err(kafka_error("creating topics"))?;
    for answer in answers {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(LogError::Topic { topic, reason: code.to_string() }),
        }
    }
    let config = config.clone();
    run_blocking(move || check_partition_counts(&config, &names)).await
}

/// Deletes the topics of events and creates them anew, empty. What was in them is in the log.
///
/// # Errors
/// [`LogError::Topic`] when the broker refuses, [`LogError::Kafka`] when it does not answer, and those of [`ensure_topics`].
pub async fn recreate_topics(config: &KafkaConfig) -> Result<(), LogError> {
    let admin: AdminClient<DefaultClientContext> =
        config.client_config().create().map_err(kafka_error("creating an admin client"))?;
    let names: Vec<_> = BoundedContext::ALL.map(|context| context.topic(&config.topic_prefix)).into();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().operation_timeout(Some(BROKER_TIMEOUT)).request_timeout(Some(BROKER_TIMEOUT));
    for answer in admin.delete_topics(&names, &options).await.map_err(kafka_error("deleting topics"))? {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => return Err(LogError::Topic { topic, reason: code.to_string() }),
        }
    }
    let gone = config.clone();
    run_blocking(move || await_deletion(&gone)).await?;
    ensure_topics(config).await
}

/// Brokers acknowledge a deletion before the topic is gone.
fn await_deletion(config: &KafkaConfig) -> Result<(), LogError> {
    let consumer: BaseConsumer = config.client_config().create().map_err(kafka_error("creating a client"))?;
    let deadline = Instant::now() + BROKER_TIMEOUT;
    for context in BoundedContext::ALL {
        let topic = context.topic(&config.topic_prefix);
        while partition_count(&consumer, &topic)? > 0 {
            if Instant::now() > deadline {
                return Err(LogError::Topic { topic, reason: "it is still there after its deletion".to_owned() });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Makes sure that no topic of events throws away all but the last event of each stream. A broker that does not tell
/// its settings is believed.
///
/// # Errors
/// [`LogError::Compacted`] naming the first topic that does.
pub async fn check_cleanup_policies(config: &KafkaConfig) -> Result<(), LogError> {
    match load_cleanup_policies(config).await?.into_iter().find(|(_, policy)| policy != DELETE_POLICY) {
        Some((topic, policy)) => Err(LogError::Compacted { topic, policy }),
        None => Ok(()),
    }
}

/// The topics of events with their `cleanup.policy`, as far as the broker tells.
async fn load_cleanup_policies(config: &KafkaConfig) -> Result<Vec<(String, String)>, LogError> {
    let admin: AdminClient<DefaultClientContext> =
        config.client_config().create().map_err(kafka_error("creating an admin client"))?;
    let names = BoundedContext::ALL.map(|context| context.topic(&config.topic_prefix));
    let wanted: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(BROKER_TIMEOUT));
    let described = match admin.describe_configs(&wanted, &options).await {
        Ok(described) => described,
        Err(error) => {
            tracing::debug!(error = %error, "the broker does not tell how topics are cleaned up");
            return Ok(vec![]);
        }
    };
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

/// What about the topics is not as it should be, each in a sentence and with whether it keeps events from their way;
/// nothing where all is well.
///
/// # Errors
/// [`LogError::Kafka`] when the broker does not answer.
pub async fn diagnose_topics(config: &KafkaConfig) -> Result<Vec<(String, bool)>, LogError> {
    let mut found = vec![];
    if let Err(compacted) = check_cleanup_policies(config).await {
        found.push((compacted.to_string(), true));
    }
    let asked = config.clone();
    let counts = run_blocking(move || {
        let consumer: BaseConsumer = asked.client_config().create().map_err(kafka_error("creating a client"))?;
        let count = |context: BoundedContext| {
            let topic = context.topic(&asked.topic_prefix);
            partition_count(&consumer, &topic).map(|count| (topic, count))
        };
        BoundedContext::ALL.into_iter().map(count).collect::<Result<Vec<_>, _>>()
    });
    let expected = usize::try_from(config.partitions).unwrap_or_default();
    for (topic, count) in counts.await? {
        if count == 0 {
            found.push((format!("topic {topic} is not there; `medhub migrate` makes it"), true));
        } else if count < expected {
            found.push((LogError::Partitions { topic, found: count, expected }.to_string(), true));
        } else if count > expected {
            found.push((extra_partitions_message(&topic, count, expected), false));
        }
    }
    Ok(found)
}

fn extra_partitions_message(topic: &str, found: usize, expected: usize) -> String {
    format!(
        "topic {topic} has {found} partitions, {expected} are configured (kafka.partitions): events go on on the first \
         {expected}, where those of each stream before are; the others stay empty"
    )
}

/// Whether a topic has the partitions that are used. Further ones are named and left alone: with them the events of a
/// stream would go on on another partition than they began on.
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

/// As [`partition_count`], for a topic that was created just now: brokers acknowledge a creation before every one of
/// them shows it, and before its partitions have leaders.
fn await_partition_count(consumer: &BaseConsumer, topic: &str) -> Result<usize, LogError> {
    let deadline = Instant::now() + BROKER_TIMEOUT;
    loop {
        let found = partition_count(consumer, topic)?;
        let led = check_partition_leaders(consumer, topic, found);
        if led.is_ok() && found > 0 || Instant::now() > deadline {
            return led.map(|()| found);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check_partition_leaders(consumer: &BaseConsumer, topic: &str, partitions: usize) -> Result<(), LogError> {
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        consumer
            .fetch_watermarks(topic, partition, BROKER_TIMEOUT)
            .map_err(kafka_error("asking for a partition's end"))?;
    }
    Ok(())
}

/// How many partitions a topic has; 0 when it does not exist.
pub(crate) fn partition_count(consumer: &BaseConsumer, topic: &str) -> Result<usize, LogError> {
    let metadata =
        consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT).map_err(kafka_error("asking for a topic's partitions"))?;
    Ok(metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len()))
}

/// Runs a client call that blocks on a thread that may block.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
