//! A log, topics and a runtime of a test's own, and workers on them.

use std::{collections::HashMap, sync::Arc};

use domain::{
    context::BoundedContext,
    envelope::{RawEnvelope, to_headers},
    event_store::{BatchStore as _, NewEvent},
    log_reader::LogReader as _,
    partition::partition_for_key,
};
use eventstore::{
    append::PgBatchStore,
    log::{LogReplay, PgLogReader, ReplayOptions},
    topic::KafkaConfig as TopicConfig,
};
use futures::TryStreamExt as _;
use projections::runtime::{
    AnyProjection, ConsumerConfig, ControlStore, ParkedStream, ParkedStreamQuery, ProjectionRuntime,
    ReadModelGeneration, RuntimeError, StatusReader, Worker, WorkerState,
};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use schemas::{
    catalog,
    registry_client::{RegistryConfig, SchemaRegistryClient},
    wire_format,
};
use sqlx::PgPool;
use tests::{TestNamespace, WAIT_TIMEOUT, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A log, topics and a runtime of the test's own.
pub(crate) struct ProjectionFixture {
    pub(crate) pool: PgPool,
    pub(crate) runtime: ProjectionRuntime,
    pub(crate) topics: TopicConfig,
    producer: FutureProducer,
    incarnation: Uuid,
}

impl ProjectionFixture {
    /// Everything but the topics.
    pub(crate) async fn without_topics(
        registry: SchemaRegistryClient,
        change: impl FnOnce(&mut ConsumerConfig),
    ) -> Self {
        let namespace = TestNamespace::new();
        let topics = TopicConfig {
            brokers: tests::engines().await.variable("KAFKA_BROKERS").to_owned(),
            topic_prefix: namespace.topic_prefix().to_owned(),
            partitions: 3,
            ..TopicConfig::default()
        };
        let mut config = ConsumerConfig {
            brokers: topics.brokers.clone(),
            topic_prefix: topics.topic_prefix.clone(),
            group_prefix: format!("{}.", namespace.name()),
            // The first request of a consumer leaves out most of its partitions, and each test starts some.
            fetch_wait_ms: 100,
            ..ConsumerConfig::default()
        };
        change(&mut config);
        let pool = tests::database().await;
        let log = PgLogReader::new(pool.clone());
        let incarnation = log.incarnation().await.unwrap();
        let runtime = ProjectionRuntime::new(ControlStore::new(pool.clone()), Arc::new(log), registry, config);
        let producer = topics.client_config().create().unwrap();
        Self { pool, runtime, topics, producer, incarnation }
    }

    pub(crate) async fn with(registry: SchemaRegistryClient, change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let field = Self::without_topics(registry, change).await;
        eventstore::topic::ensure_topics(&field.topics).await.unwrap();
        field
    }

    pub(crate) async fn new() -> Self {
        Self::with(unreachable_registry(), |_| {}).await
    }

    /// Publishes plain JSON, as earlier versions did: it needs no registry.
    pub(crate) async fn publish(&self, events: &[RawEnvelope]) {
        for event in events {
            self.send(&event.aggregate_id, &event.payload, headers(event)).await;
        }
    }

    /// Publishes as the relay does, with schemas of this registry.
    pub(crate) async fn publish_avro(&self, events: &[RawEnvelope], registry: &SchemaRegistryClient) {
        for event in events {
            let schema = catalog::find_schema(&event.event_type, &event.event_version).unwrap();
            let mut value = vec![];
            wire_format::write_frame(registry.resolve_schema_id(schema).await.unwrap(), &mut value);
            schema.encode(&event.payload, &mut value).unwrap();
            self.send(&event.aggregate_id, &value, headers(event)).await;
        }
    }

    pub(crate) async fn send(&self, key: &str, payload: impl AsRef<[u8]>, headers: OwnedHeaders) {
        let topic = BoundedContext::Opportunities.topic(&self.topics.topic_prefix);
        let record = FutureRecord::to(&topic).key(key).payload(payload.as_ref()).headers(headers);
        self.producer.send(record, WAIT_TIMEOUT).await.unwrap();
    }

    /// Publishes a beacon with this position on every partition, as an idle relay does.
    pub(crate) async fn publish_watermark(&self, position: u64) {
        let position = position.to_string();
        for (context, partition) in self.partitions() {
            let topic = context.topic(&self.topics.topic_prefix);
            let headers = OwnedHeaders::new().insert(Header { key: "watermark", value: Some(&position) });
            let record = FutureRecord::to(&topic).key("beacon").payload("").headers(headers).partition(partition);
            self.producer.send(record, WAIT_TIMEOUT).await.unwrap();
        }
    }

    /// Waits until the checkpoints of every partition stand at this position.
    pub(crate) async fn reached_on_all_partitions(&self, projection: &str, position: u64) {
        eventually(async || {
            let checkpoint =
                self.runtime.control().load_checkpoint(projection, ReadModelGeneration::FIRST).await.unwrap();
            let behind: Vec<_> = self
                .partitions()
                .into_iter()
                .map(|(context, partition)| (context.topic(&self.topics.topic_prefix), partition))
                .filter(|place| checkpoint.0.get(place).is_none_or(|mark| mark.position < position))
                .collect();
            if behind.is_empty() { Ok(()) } else { Err(format!("before position {position}: {behind:?}")) }
        })
        .await;
    }

    /// The partitions of the topics that views are made of.
    fn partitions(&self) -> Vec<(BoundedContext, i32)> {
        let partitions = 0..self.topics.partitions;
        let of = |context| partitions.clone().map(move |partition| (context, partition));
        of(BoundedContext::Opportunities).chain(of(BoundedContext::Analytics)).collect()
    }

    /// Appends events to the log, and returns them as recorded.
    pub(crate) async fn record(&self, events: &[RawEnvelope]) -> Vec<RawEnvelope> {
        let new = events.iter().map(|event| NewEvent {
            aggregate_type: "opportunity",
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            payload: event.payload.clone(),
            metadata: event.metadata.clone(),
        });
        PgBatchStore::new(self.pool.clone()).append_events(new.collect()).await.unwrap();
        let replay = LogReplay::start(&self.pool, ReplayOptions::default()).await.unwrap();
        replay.into_stream().try_collect().await.unwrap()
    }

    /// Events with their ordinals.
    pub(crate) fn numbered(&self, events: &[RawEnvelope]) -> Vec<(RawEnvelope, u64)> {
        let mut numbers = HashMap::<i32, u64>::new();
        let number = |event: &RawEnvelope| {
            let last = numbers.entry(partition_for_key(&event.aggregate_id, self.topics.partitions)).or_default();
            *last += 1;
            (event.clone(), *last)
        };
        events.iter().map(number).collect()
    }

    /// Publishes an event with its ordinal, on the partition that the relay would choose.
    pub(crate) async fn publish_numbered(&self, event: &RawEnvelope, ordinal: u64) {
        let topic = BoundedContext::Opportunities.topic(&self.topics.topic_prefix);
        let ordinal = ordinal.to_string();
        let headers = headers(event).insert(Header { key: "ordinal", value: Some(&ordinal) });
        let record = FutureRecord::to(&topic)
            .key(&event.aggregate_id)
            .payload(&event.payload)
            .headers(headers)
            .partition(partition_for_key(&event.aggregate_id, self.topics.partitions));
        self.producer.send(record, WAIT_TIMEOUT).await.unwrap();
    }

    /// Starts a worker of the first generation of a read model.
    pub(crate) async fn start(&self, projection: &dyn AnyProjection) -> RunningWorker {
        let control = self.runtime.control();
        control.register_first_generation(projection.name(), self.incarnation).await.unwrap();
        let build = control.load_generation(projection.name(), ReadModelGeneration::FIRST).await.unwrap();
        let worker = Worker::new(self.runtime.clone(), projection, build);
        let (status, shutdown) = (worker.status(), CancellationToken::new());
        RunningWorker { status, task: tokio::spawn(worker.run(shutdown.clone())), shutdown }
    }

    pub(crate) async fn parked(&self) -> Vec<ParkedStream> {
        self.runtime.control().find_parked_streams(&ParkedStreamQuery::default()).await.unwrap()
    }
}

pub(crate) fn headers(event: &RawEnvelope) -> OwnedHeaders {
    let headers = to_headers(event).into_iter();
    headers.fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }))
}

/// A registry at a reserved port, where connections are refused.
pub(crate) fn unreachable_registry() -> SchemaRegistryClient {
    let config = RegistryConfig { url: "http://127.0.0.1:1".to_owned(), ..RegistryConfig::default() };
    SchemaRegistryClient::new(&config).unwrap()
}

/// A worker at work.
pub(crate) struct RunningWorker {
    pub(crate) status: StatusReader,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl RunningWorker {
    pub(crate) async fn applied(&self, events: usize) {
        eventually(async || {
            let status = self.status.get();
            if status.applied == events as u64 { Ok(()) } else { Err(format!("{events} events wanted: {status:?}")) }
        })
        .await;
    }

    pub(crate) async fn is(&self, state: WorkerState) {
        eventually(async || {
            let status = self.status.get();
            if status.state == state { Ok(()) } else { Err(format!("{state:?} wanted: {status:?}")) }
        })
        .await;
    }

    pub(crate) async fn has_partitions(&self, partitions: usize) {
        eventually(async || {
            let status = self.status.get();
            if status.partitions == partitions {
                Ok(())
            } else {
                Err(format!("{partitions} partitions wanted: {status:?}"))
            }
        })
        .await;
    }

    pub(crate) async fn parked(&self, events: u64) {
        eventually(async || {
            let status = self.status.get();
            if status.parked == events { Ok(()) } else { Err(format!("{events} parked wanted: {status:?}")) }
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        assert_eq!(self.status.get().state, WorkerState::Stopped);
    }
}
