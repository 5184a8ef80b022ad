//! Workers on a real Kafka: redelivery, records that are no events, sick stores, poison.

use std::time::Duration;

use domain::{
    context::Context,
    envelope::{RawRecorded, to_headers},
};
use eventstore::topic::KafkaConfig as TopicConfig;
use projections::{
    runtime::{KafkaConfig, Projection, RuntimeError, StatusReader, Worker, WorkerState},
    views::{Views, ViewsConfig},
};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use schemas::{
    catalog,
    registry::{Registry, RegistryConfig},
    wire,
};
use tests::eventually;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{analytics, history, search, unique, views};

const PATIENCE: Duration = Duration::from_mins(1);

/// Topics of the test's own, and how to write to them.
struct Kafka {
    config: KafkaConfig,
    producer: FutureProducer,
}

impl Kafka {
    /// Names and a producer, without the topics.
    async fn without_topics() -> (Self, TopicConfig) {
        let topics = TopicConfig {
            brokers: tests::engines().await.url("KAFKA_BROKERS"),
            topic_prefix: unique(),
            partitions: 3,
            ..TopicConfig::default()
        };
        let config = KafkaConfig {
            brokers: topics.brokers.clone(),
            topic_prefix: topics.topic_prefix.clone(),
            group_prefix: format!("{}.", unique()),
            poison_retry_ms: 200,
            ..KafkaConfig::default()
        };
        (Self { config, producer: topics.client().create().unwrap() }, topics)
    }

    async fn new() -> Self {
        let (kafka, topics) = Self::without_topics().await;
        make(&topics).await;
        kafka
    }

    /// Publishes plain JSON, as earlier versions did: it needs no registry.
    async fn publish(&self, events: &[RawRecorded]) {
        for event in events {
            self.send(&event.aggregate_id, &event.payload, headers(event)).await;
        }
    }

    /// Publishes as the relay does, with schemas of this registry.
    async fn publish_avro(&self, events: &[RawRecorded], registry: &Registry) {
        for event in events {
            let schema = catalog::find(&event.event_type, &event.event_version).unwrap();
            let mut value = vec![];
            wire::frame(registry.id_of(schema).await.unwrap(), &mut value);
            schema.encode(&event.payload, &mut value).unwrap();
            self.send(&event.aggregate_id, &value, headers(event)).await;
        }
    }

    async fn send(&self, key: &str, payload: impl AsRef<[u8]>, headers: OwnedHeaders) {
        let topic = Context::Opportunities.topic(&self.config.topic_prefix);
        let record = FutureRecord::to(&topic).key(key).payload(payload.as_ref()).headers(headers);
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    fn start<P: Projection>(&self, projection: P) -> Running {
        self.start_with(projection, &nobody())
    }

    fn start_with<P: Projection>(&self, projection: P, registry: &Registry) -> Running {
        let worker = Worker::new(projection, self.config.clone(), registry.clone());
        let (status, shutdown) = (worker.status(), CancellationToken::new());
        Running { status, task: tokio::spawn(worker.run(shutdown.clone())), shutdown }
    }
}

fn headers(event: &RawRecorded) -> OwnedHeaders {
    let headers = to_headers(event).into_iter();
    headers.fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }))
}

/// A registry on a port that was free a moment ago: nobody listens there.
fn nobody() -> Registry {
    Registry::new(&RegistryConfig { url: format!("http://127.0.0.1:{}", free_port()) })
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Makes topics. A broker may not show a topic yet that it has just made, hence more than one attempt.
async fn make(topics: &TopicConfig) {
    eventstore::topic::ensure(topics).await.unwrap();
}

/// A worker at work.
struct Running {
    status: StatusReader,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl Running {
    async fn applied(&self, events: usize) {
        eventually(PATIENCE, async || {
            let status = self.status.get();
            if status.applied == events as u64 { Ok(()) } else { Err(format!("{events} events wanted: {status:?}")) }
        })
        .await;
    }

    async fn is(&self, state: WorkerState) {
        eventually(PATIENCE, async || {
            let status = self.status.get();
            if status.state == state { Ok(()) } else { Err(format!("{state:?} wanted: {status:?}")) }
        })
        .await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        assert_eq!(self.status.get().state, WorkerState::Stopped);
    }
}

#[tokio::test]
async fn every_read_model_takes_in_what_the_topics_hold_however_often() {
    let (kafka, events) = (Kafka::new().await, history());
    let (analytics, search, views) = (analytics().await, search().await, views().await);
    kafka.publish(&events).await;
    kafka.publish(&events).await;
    kafka.send("beacon", "", OwnedHeaders::new().insert(Header { key: "watermark", value: Some("99") })).await;

    let workers = [kafka.start(analytics.clone()), kafka.start(search.clone()), kafka.start(views.clone())];
    for worker in workers {
        worker.applied(2 * events.len()).await;
        assert_eq!(worker.status.get().position, events.len() as u64);
        worker.stop().await;
    }

    assert_eq!(analytics.count_facts().await.unwrap(), events.len() as u64);
    assert_eq!(analytics.count_opportunities().await.unwrap(), 3);
    assert_eq!((search.count().await.unwrap(), views.count_views().await.unwrap()), (3, 3));
}

#[tokio::test]
async fn a_worker_goes_on_where_it_stopped() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    let (early, late) = events.split_at(3);
    kafka.publish(early).await;
    let first = kafka.start(views.clone());
    first.applied(early.len()).await;
    first.stop().await;

    kafka.publish(late).await;
    let second = kafka.start(views.clone());
    second.applied(late.len()).await;
    second.stop().await;

    assert_eq!(views.counters().await.unwrap().total, 3);
}

#[tokio::test]
async fn workers_of_one_group_share_the_work_and_take_over_from_each_other() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    let (one, two) = (kafka.start(views.clone()), kafka.start(views.clone()));
    let (early, late) = events.split_at(3);
    let version =
        |events: &[RawRecorded]| events.iter().filter(|event| event.aggregate_id == super::WHEELCHAIRS).count();
    let reached = async |wanted: usize| {
        eventually(PATIENCE, async || {
            let view = views.get(&super::id(super::WHEELCHAIRS)).await.unwrap();
            let found = view.map_or(0, |view| view.version);
            if found == wanted as u64 { Ok(()) } else { Err(format!("version {found}, not {wanted}")) }
        })
        .await;
    };

    kafka.publish(early).await;
    reached(version(early)).await;
    one.stop().await;
    kafka.publish(late).await;
    reached(version(&events)).await;
    eventually(PATIENCE, async || {
        let total = views.counters().await.unwrap().total;
        if total == 3 { Ok(()) } else { Err(format!("{total} views")) }
    })
    .await;

    two.stop().await;
}

#[tokio::test]
async fn topics_may_appear_after_their_worker() {
    let (kafka, topics) = Kafka::without_topics().await;
    let (events, views) = (history(), views().await);
    let worker = kafka.start(views.clone());
    make(&topics).await;
    kafka.publish(&events).await;

    worker.applied(events.len()).await;

    worker.stop().await;
    assert_eq!(views.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn a_store_that_is_away_delays_only_its_own_worker() {
    let (kafka, events, analytics) = (Kafka::new().await, history(), analytics().await);
    let url = format!("redis://127.0.0.1:{}", free_port());
    let away = Views::new(&ViewsConfig { url, ..ViewsConfig::default() }).unwrap();

    let (sick, sound) = (kafka.start(away), kafka.start(analytics.clone()));
    kafka.publish(&events).await;

    sound.applied(events.len()).await;
    sick.is(WorkerState::Retrying).await;
    assert_eq!(sick.status.get().applied, 0);
    assert!(sick.status.get().last_error.unwrap().contains("store"));
    sick.stop().await;
    sound.stop().await;
}

#[tokio::test]
async fn an_event_that_makes_no_sense_is_never_skipped() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    let opportunity: Vec<_> = events.iter().filter(|event| event.aggregate_id == super::WHEELCHAIRS).cloned().collect();
    kafka.publish(&opportunity[..2]).await;
    let poison = RawRecorded { payload: r#"{"type":"evaporated"}"#.to_owned(), ..opportunity[2].clone() };
    kafka.publish(&[poison]).await;
    kafka.publish(&opportunity[3..]).await;

    let worker = kafka.start(views.clone());
    worker.is(WorkerState::Poisoned).await;
    assert_eq!(worker.status.get().applied, 2);
    let error = worker.status.get().last_error.unwrap();
    assert!(error.contains("unknown variant `evaporated`"), "{error}");
    worker.stop().await;

    // Stopping does not skip it either.
    let again = kafka.start(views.clone());
    again.is(WorkerState::Poisoned).await;
    assert_eq!(views.get(&super::id(super::WHEELCHAIRS)).await.unwrap().unwrap().version, 2);
    again.stop().await;
}

#[tokio::test]
async fn avro_is_read_by_the_schema_it_was_written_with() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    let config = RegistryConfig { url: tests::engines().await.url("SCHEMA_REGISTRY_URL") };
    // JSON of an earlier version first, as on a topic that has grown.
    let (old, new) = events.split_at(2);
    kafka.publish(old).await;
    kafka.publish_avro(new, &Registry::new(&config)).await;

    let worker = kafka.start_with(views.clone(), &Registry::new(&config));
    worker.applied(events.len()).await;
    worker.stop().await;

    let replayed = super::views().await;
    super::apply(&replayed, &events).await;
    for id in [super::WHEELCHAIRS, super::SHIP, super::VALVES].map(super::id) {
        assert_eq!(views.get(&id).await.unwrap(), replayed.get(&id).await.unwrap());
    }
}

#[tokio::test]
async fn a_registry_that_is_away_delays_and_skips_nothing() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    kafka.publish(&events[..1]).await;
    kafka.send(&events[1].aggregate_id, [0, 0, 0, 0, 7, 1], headers(&events[1])).await;

    let worker = kafka.start(views.clone());
    worker.is(WorkerState::Retrying).await;

    let status = worker.status.get();
    assert!(status.last_error.unwrap().contains("asking the schema registry"), "{:?}", worker.status.get());
    worker.stop().await;
    assert!(views.count_views().await.unwrap() <= 1);
}

#[tokio::test]
async fn a_value_that_nobody_can_read_is_poison_and_named() {
    let (kafka, events, views) = (Kafka::new().await, history(), views().await);
    kafka.send(&events[0].aggregate_id, b"no Avro", headers(&events[0])).await;

    let worker = kafka.start(views.clone());
    worker.is(WorkerState::Poisoned).await;

    let error = worker.status.get().last_error.unwrap();
    assert!(error.contains("unpacking opportunity.discovered 1.0 at position 1"), "{error}");
    worker.stop().await;
    assert_eq!(views.count_views().await.unwrap(), 0);
}
