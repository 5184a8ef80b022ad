//! The records of a partition say up to which position it is complete.

use domain::{context::BoundedContext, event_store::BatchStore};
use eventstore::{append::PgBatchStore, count::count_published, topic::KafkaConfig};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tests::{
    RunningRelay, TopicRecord, WAIT_TIMEOUT, database, eventually,
    log_events::{discovered_event, insert_event},
    read_records, topics,
};

#[tokio::test]
async fn every_partition_has_the_current_watermark_even_without_events() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start(&pool, &kafka).await;
    PgBatchStore::new(pool.clone())
        .append_events(vec![discovered_event("a", 1), discovered_event("a", 2), discovered_event("a", 3)])
        .await
        .unwrap();

    let found = eventually(async || {
        let found = read_records(&kafka).await;
        let watermark_of = |partition| {
            let last = found.iter().rfind(|record| record.partition == partition);
            last.and_then(|record| record.numeric_header("watermark").or(record.numeric_header("position")))
        };
        let watermarks: Vec<_> = (0..kafka.partitions).map(watermark_of).collect();
        if watermarks.iter().all(|at| *at == Some(3)) { Ok(found) } else { Err(format!("{watermarks:?}")) }
    })
    .await;
    relay.stop().await;

    let beacons: Vec<_> = found.iter().filter(|record| !record.is_event()).collect();
    assert!(beacons.iter().all(|beacon| beacon.key.is_none() && beacon.value.is_none()), "{beacons:?}");
    let log = &found[0].headers["incarnation"];
    assert!(found.iter().all(|record| record.headers.get("incarnation") == Some(log)), "{found:?}");
}

#[tokio::test]
async fn no_event_comes_after_a_beacon_whose_watermark_covers_it() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start(&pool, &kafka).await;
    let store = PgBatchStore::new(pool.clone());
    for round in 1..=20 {
        // An append that commits after later ones.
        let mut slow = pool.begin().await.unwrap();
        insert_event(&mut slow, &format!("slow{round}"), 1).await;
        store.append_events((0..20).map(|n| discovered_event(&format!("a{n}"), round)).collect()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        slow.commit().await.unwrap();
    }
    relay.wait_until_published(20 * 21).await;
    relay.stop().await;

    let found = read_records(&kafka).await;
    for partition in 0..kafka.partitions {
        let records: Vec<_> = found.iter().filter(|record| record.partition == partition).collect();
        let mut watermark = 0;
        for record in records {
            let position = record.numeric_header("position").unwrap_or_default();
            if record.is_event() {
                assert!(position > watermark, "position {position} after watermark {watermark}");
            }
            watermark = watermark.max(record.numeric_header("watermark").unwrap_or(position));
        }
    }
    assert_eq!(found.iter().filter(|record| record.is_event()).count(), 420);
}

#[tokio::test]
async fn the_events_of_a_partition_are_numbered_without_gaps_across_leaders() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    for sequence in 1..=3 {
        let relay = RunningRelay::start(&pool, &kafka).await;
        store.append_events((0..40).map(|n| discovered_event(&format!("a{n}"), sequence)).collect()).await.unwrap();
        relay.wait_until_published(40 * sequence).await;
        relay.stop().await;
    }

    let found = read_records(&kafka).await;
    for partition in 0..kafka.partitions {
        let events = found.iter().filter(|record| record.partition == partition && record.is_event());
        let ordinals: Vec<_> = events.map(|record| record.numeric_header("ordinal").unwrap()).collect();
        let expected: Vec<_> = (1..=ordinals.len() as u64).collect();
        assert_eq!(ordinals, expected, "partition {partition}");
    }
    assert_eq!(found.iter().filter(|record| TopicRecord::is_event(record)).count(), 120);
    assert_eq!(count_published(&kafka).await.unwrap(), 120);
}

/// Sends a copy of a record, as a former leader that was suspended does with what its producer holds when it resumes.
async fn send_late_copy(kafka: &KafkaConfig, record: &TopicRecord) {
    let producer: FutureProducer = kafka.producer_config().create().unwrap();
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    let topic = BoundedContext::Opportunities.topic(&kafka.topic_prefix);
    let copy = FutureRecord::to(&topic).partition(record.partition).headers(headers);
    let copy = copy.key(record.key.as_ref().unwrap()).payload(record.value.as_ref().unwrap());
    producer.send(copy, WAIT_TIMEOUT).await.unwrap();
}

#[tokio::test]
async fn a_late_record_of_a_former_leader_does_not_set_the_numbers_of_its_partition_back() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let relay = RunningRelay::start(&pool, &kafka).await;
    store.append_events((1..=5).map(|sequence| discovered_event("a", sequence)).collect()).await.unwrap();
    relay.wait_until_published(5).await;
    relay.stop().await;
    let records = read_records(&kafka).await;
    let second =
        records.iter().find(|record| record.is_event() && record.numeric_header("ordinal") == Some(2)).unwrap();
    send_late_copy(&kafka, second).await;
    assert_eq!(count_published(&kafka).await.unwrap(), 2, "the last record of the partition counts two events");

    let relay = RunningRelay::start(&pool, &kafka).await;
    eventually(async || match count_published(&kafka).await.unwrap() {
        5 => Ok(()),
        other => Err(format!("{other} events are counted")),
    })
    .await;
    store.append_events(vec![discovered_event("a", 6)]).await.unwrap();
    relay.wait_until_published(6).await;
    relay.stop().await;

    let found = read_records(&kafka).await;
    let ordinals: Vec<_> = found
        .iter()
        .filter(|record| record.is_event())
        .map(|record| record.numeric_header("ordinal").unwrap())
        .collect();
    assert_eq!(ordinals, [1, 2, 3, 4, 5, 2, 6], "the sixth event has the sixth number");
}
