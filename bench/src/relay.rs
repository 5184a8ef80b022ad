//! `bench relay`: measures publishing the log to Kafka, beside a plain producer of the same records, and the latency
//! from commit to Kafka.

mod latency;
pub(super) mod topics;

use std::time::{Duration, Instant};

use anyhow::Context;
use api::config::EngineConfig;
use eventstore::{
    relay::{Relay, RelayConfig},
    topic::KafkaConfig,
};
use schemas::{catalog, registry_client::SchemaRegistryClient};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::topics::KafkaRecord;
use super::{BenchFigures, BenchReport, bench_database, cpu_time, log};

/// Timeout of the relay.
const PROGRESS_TIMEOUT: Duration = Duration::from_mins(2);

/// Options of the benchmark.
#[derive(Debug, Clone, Copy)]
pub struct RelayBenchOptions {
    /// Number of events in the log.
    pub events: u64,
    /// Measurements of each of the two.
    pub rounds: u32,
    /// Events per second while the latency from commit to Kafka is measured.
    pub rate: u32,
    /// Duration of the latency measurement in seconds; 0 skips it.
    pub seconds: u32,
}

/// Fills a log, measures the relay and a plain producer in turns on new topics, and removes the log and the topics.
///
/// # Errors
/// When an engine fails, or not every event arrives.
pub async fn run(config: &EngineConfig, options: RelayBenchOptions) -> anyhow::Result<BenchReport> {
    bench_database::with_bench_database(&config.postgres, async |database| {
        let bench = RelayBench { pool: &database.pool, config, prefix: format!("bench-{}", Uuid::new_v4().simple()) };
        let outcome = database.run_until_interrupted(bench.run_rounds(options)).await;
        let removed = topics::delete_topics(&config.kafka, &bench.prefix).await;
        let report = outcome?;
        removed.context("removing the benchmark's topics")?;
        Ok(report)
    })
    .await
}

struct RelayBench<'a> {
    pool: &'a PgPool,
    config: &'a EngineConfig,
    prefix: String,
}

impl RelayBench<'_> {
    async fn run_rounds(&self, options: RelayBenchOptions) -> anyhow::Result<BenchReport> {
        let payload_bytes = log::fill_log(self.pool, options.events).await.context("filling the log")?;
        // A warm-up run, so that the log is in memory; the plain producer sends its records.
        let warm = self.create_topics("warm").await?;
        self.measure_relay(&warm, options.events).await?;
        let records = topics::read_records(&warm, options.events).await.context("reading the records of the relay")?;
        self.measure_producer("warm-raw", &records).await?;
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            raw.push(self.measure_producer(&format!("raw{round}"), &records).await?);
            let topics = self.create_topics(&format!("ours{round}")).await?;
            ours.push(self.measure_relay(&topics, options.events).await?);
        }
        let bytes: usize = records.iter().map(KafkaRecord::size_bytes).sum();
        drop(records);
        let mut report = BenchReport::new(
            "relay",
            BenchFigures::median(ours.clone())?,
            "librdkafka producing the same records from memory, with the same settings",
            BenchFigures::median(raw.clone())?,
        )
        .with_throughput("relay/publish", &ours, &raw)
        .with_figure("rounds", options.rounds)
        .with_figure("payload_bytes", payload_bytes)
        .with_figure("record_bytes", bytes as u64 / options.events.max(1));
        if options.seconds > 0 {
            let topics = self.create_topics("latency").await?;
            let create_relay = self.relay_factory(&topics)?;
            let waits = latency::measure_latency(self.pool, &create_relay, &topics, options).await?;
            report = report.with_figure("commit_to_kafka", json!(waits)).with_measure(waits.to_measure());
        }
        Ok(report)
    }

    /// Creates the topics of one run.
    async fn create_topics(&self, run: &str) -> anyhow::Result<KafkaConfig> {
        let kafka = KafkaConfig { topic_prefix: format!("{}.{run}", self.prefix), ..self.config.kafka.clone() };
        eventstore::topic::ensure_topics(&kafka).await.context("creating topics")?;
        Ok(kafka)
    }

    fn relay_factory(&self, topics: &KafkaConfig) -> anyhow::Result<impl Fn() -> Relay> {
        let (pool, kafka) = (self.pool.clone(), topics.clone());
        let (registry, relay) = (SchemaRegistryClient::new(&self.config.registry)?, self.config.relay.clone());
        Ok(move || {
            let relay = RelayConfig { retry_ms: 100, ..relay.clone() };
            Relay::new(pool.clone(), kafka.clone(), registry.clone(), catalog::all_schemas(), relay)
        })
    }

    /// Publishes the whole log, timed from the leadership of the relay to the last acknowledgement.
    async fn measure_relay(&self, topics: &KafkaConfig, events: u64) -> anyhow::Result<BenchFigures> {
        sqlx::query("delete from relay_checkpoints")
            .execute(self.pool)
            .await
            .context("resetting the checkpoint of the relay")?;
        let create_relay = self.relay_factory(topics)?;
        let relay = create_relay();
        let (mut status, stop) = (relay.status(), CancellationToken::new());
        let task = tokio::spawn(relay.run(stop.clone()));
        let leading = status.wait_for(|status| status.leading);
        tokio::time::timeout(PROGRESS_TIMEOUT, leading).await.context("the relay does not become leader")??;
        let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
        let done = status.wait_for(|status| status.position >= events || status.last_error.is_some());
        let last = tokio::time::timeout(PROGRESS_TIMEOUT, done).await.context("the relay does not catch up")??.clone();
        let figures =
            BenchFigures::new(events, started.elapsed(), cpu_time::process_cpu_time().saturating_sub(cpu), None);
        stop.cancel();
        task.await?;
        anyhow::ensure!(
            last.published == events,
            "the relay published {} of {events}: {:?}",
            last.published,
            last.last_error
        );
        Ok(figures)
    }

    /// Produces the same records with a plain producer.
    async fn measure_producer(&self, run: &str, records: &[KafkaRecord]) -> anyhow::Result<BenchFigures> {
        let topics = self.create_topics(run).await?;
        topics::produce_records(&topics, records).context("producing with a plain producer")
    }
}
