//! What stands on the topic of opportunities.

use std::{collections::BTreeMap, time::Duration};

use domain::context::Context;
use eventstore::topic::KafkaConfig;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A record as a consumer sees it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) key: Option<String>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: BTreeMap<String, String>,
}

impl Record {
    pub(super) fn is_event(&self) -> bool {
        self.headers.contains_key("event-type")
    }

    pub(super) fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header).map(|value| value.parse().unwrap())
    }
}

/// Every record, beacons included, partition by partition in the order of the offsets.
pub(super) async fn records(config: &KafkaConfig) -> Vec<Record> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || read(&config)).await.unwrap()
}

fn read(config: &KafkaConfig) -> Vec<Record> {
    let consumer: BaseConsumer = config.client().set("group.id", "test").create().unwrap();
    let topic = Context::Opportunities.topic(&config.topic_prefix);
    let (mut all, mut left) = (TopicPartitionList::new(), 0);
    for partition in 0..config.partitions {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, PATIENCE).unwrap();
        left += high - low;
        all.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let mut found = Vec::new();
    while left > 0 {
        let message = consumer.poll(PATIENCE).expect("a record").unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Record {
            partition: message.partition(),
            key: message.key().map(text),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect(),
        });
        left -= 1;
    }
    found.sort_by_key(|record| record.partition);
    found
}
