//! Records on the topic of opportunities.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails a test by panicking")]

use std::collections::{BTreeMap, HashMap};

use domain::context::BoundedContext;
use eventstore::topic::KafkaConfig;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};

use crate::{WAIT_TIMEOUT, blocking::run_blocking};

/// A record as a consumer sees it: an event, or a beacon that says how far its partition has come.
#[derive(Debug, Clone)]
pub struct TopicRecord {
    /// Its partition.
    pub partition: i32,
    /// The aggregate of an event.
    pub key: Option<String>,
    /// The payload of an event.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
}

impl TopicRecord {
    /// Whether it is an event, not a beacon.
    pub fn is_event(&self) -> bool {
        self.headers.contains_key("event-type")
    }

    /// The number in a header, if it has that header.
    ///
    /// # Panics
    /// If the header is no number.
    pub fn numeric_header(&self, header: &str) -> Option<u64> {
        self.headers.get(header).map(|value| value.parse().unwrap())
    }
}

/// Reads every record, beacons included, partition by partition in the order of the offsets.
///
/// # Panics
/// If Kafka does not answer.
pub async fn read_records(config: &KafkaConfig) -> Vec<TopicRecord> {
    let config = config.clone();
    run_blocking(move || read_blocking(&config)).await
}

/// Reads the positions of the events of each aggregate, in the order of the topic.
///
/// # Panics
/// As [`read_records`].
pub async fn read_positions_by_aggregate(config: &KafkaConfig) -> HashMap<String, Vec<u64>> {
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for record in read_records(config).await.into_iter().filter(TopicRecord::is_event) {
        found.entry(record.key.clone().unwrap()).or_default().push(record.numeric_header("position").unwrap());
    }
    found
}

fn read_blocking(config: &KafkaConfig) -> Vec<TopicRecord> {
    // Consumer groups are global in the shared broker, so this one is named after the test's own topics.
    let mut client = config.client_config();
    client.set("group.id", format!("{}.records", config.topic_prefix)).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = client.create().unwrap();
    let topic = BoundedContext::Opportunities.topic(&config.topic_prefix);
    let (mut all, mut remaining) = (TopicPartitionList::new(), 0);
    for partition in 0..config.partitions {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, WAIT_TIMEOUT).unwrap();
        remaining += high - low;
        all.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let mut found = Vec::new();
    while remaining > 0 {
        let message = consumer.poll(WAIT_TIMEOUT).expect("a record").unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(TopicRecord {
            partition: message.partition(),
            key: message.key().map(text),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect(),
        });
        remaining -= 1;
    }
    found.sort_by_key(|record| record.partition);
    found
}
