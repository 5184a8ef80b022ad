//! `bench relay`: the log carried to Kafka, beside a plain producer of the same records; and how long a commit takes
//! to get there.

mod latency;
pub(super) mod topics;

use std::time::{Duration, Instant};

use anyhow::Context;
use eventstore::{
    relay::{Relay, RelayConfig},
    topic::KafkaConfig,
};
use schemas::registry::Registry;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::topics::Record;
use super::{Figures, Report, cpu, database, log};
use crate::config::Config;

/// Longest wait for a relay that does not come on.
const PATIENCE: Duration = Duration::from_mins(2);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Events in the log.
    pub events: u64,
    /// Runs of each of the two.
    pub rounds: u32,
    /// Events a second while the way from commit to Kafka is timed.
    pub rate: u32,
    /// For how many seconds that is done; 0 leaves it out.
    pub seconds: u32,
}

/// Fills a log of its own, carries it to topics of its own, and measures both in turns; removes both.
///
/// # Errors
/// When an engine does not do its part, or not every event arrives.
pub async fn run(config: &Config, work: Work) -> anyhow::Result<Report> {
    database::with_own(&config.postgres, async |own| {
        let bench = Bench { pool: &own.pool, config, prefix: format!("bench-{}", Uuid::new_v4().simple()) };
        let outcome = own.measure(bench.measure(work)).await;
        let removed = topics::remove(&config.kafka, &bench.prefix).await;
        let report = outcome?;
        removed.context("removing the benchmark's topics")?;
        Ok(report)
    })
    .await
}

struct Bench<'a> {
    pool: &'a PgPool,
    config: &'a Config,
    prefix: String,
}

impl Bench<'_> {
    async fn measure(&self, work: Work) -> anyhow::Result<Report> {
        let payload_bytes = log::fill(self.pool, work.events).await.context("filling the log")?;
        // Once for nothing, so that everything is in memory; and the records that the plain producer is given.
        let warm = self.topics("warm").await?;
        self.carry(&warm, work.events).await?;
        let records = topics::read(&warm, work.events).await.context("reading what the relay wrote")?;
        self.produce("warm-raw", &records).await?;
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for round in 0..work.rounds {
            raw.push(self.produce(&format!("raw{round}"), &records).await?);
            let topics = self.topics(&format!("ours{round}")).await?;
            ours.push(self.carry(&topics, work.events).await?);
        }
        let bytes: usize = records.iter().map(Record::bytes).sum();
        drop(records);
        let mut report = Report::new(
            "relay",
            Figures::median(ours)?,
            "librdkafka producing the same records from memory, with the same settings",
            Figures::median(raw)?,
        )
        .with("rounds", work.rounds)
        .with("payload_bytes", payload_bytes)
        .with("record_bytes", bytes as u64 / work.events.max(1));
        if work.seconds > 0 {
            let topics = self.topics("latency").await?;
            let waits = latency::measure(self.pool, &self.relay(&topics), &topics, work).await?;
            report = report.with("commit_to_kafka", json!(waits));
        }
        Ok(report)
    }

    /// Topics of one run.
    async fn topics(&self, run: &str) -> anyhow::Result<KafkaConfig> {
        let kafka = KafkaConfig { topic_prefix: format!("{}.{run}", self.prefix), ..self.config.kafka.clone() };
        eventstore::topic::ensure(&kafka).await.context("creating topics")?;
        Ok(kafka)
    }

    fn relay(&self, topics: &KafkaConfig) -> impl Fn() -> Relay {
        let (pool, kafka) = (self.pool.clone(), topics.clone());
        let (registry, relay) = (Registry::new(&self.config.registry), self.config.relay.clone());
        move || {
            Relay::new(pool.clone(), kafka.clone(), registry.clone(), RelayConfig { retry_ms: 100, ..relay.clone() })
        }
    }

    /// The whole log, from the start of a relay to the last acknowledgement.
    async fn carry(&self, topics: &KafkaConfig, events: u64) -> anyhow::Result<Figures> {
        sqlx::query("delete from relay_checkpoints").execute(self.pool).await.context("going back to the start")?;
        let relay = self.relay(topics)();
        let (mut status, stop) = (relay.status(), CancellationToken::new());
        let task = tokio::spawn(relay.run(stop.clone()));
        let leads = status.wait_for(|status| status.leading);
        tokio::time::timeout(PATIENCE, leads).await.context("the relay does not lead")??;
        let (started, cpu) = (Instant::now(), cpu::of_this_process());
        let done = status.wait_for(|status| status.position >= events || status.last_error.is_some());
        let last = tokio::time::timeout(PATIENCE, done).await.context("the relay does not come on")??.clone();
        let figures = Figures::new(events, started.elapsed(), cpu::of_this_process().saturating_sub(cpu), None);
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

    /// The same records by nothing but a producer.
    async fn produce(&self, run: &str, records: &[Record]) -> anyhow::Result<Figures> {
        let topics = self.topics(run).await?;
        topics::produce(&topics, records).context("producing with a plain producer")
    }
}
