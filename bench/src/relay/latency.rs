//! Measures the latency from the commit of an event until a consumer of Kafka receives it.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use domain::{
    envelope::EventMetadata,
    event_store::{BatchStore, NewEvent},
};
use eventstore::{append::PgBatchStore, relay::Relay, topic::KafkaConfig};
use hdrhistogram::Histogram;
use rdkafka::{Message, Offset, consumer::BaseConsumer};
use serde::Serialize;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{PROGRESS_TIMEOUT, RelayBenchOptions, topics};
use crate::{
    log, new_wait_histogram,
    report::{BenchMeasure, LatencyPercentiles, MeasureRepetition, MeasureUnit},
    to_micros,
};

/// Appends in flight at once.
const WRITERS: u32 = 4;
const KEY_PREFIX: &str = "latency:";

/// Latencies from commit to consumption.
#[derive(Debug, Serialize)]
pub(super) struct RelayLatency {
    events: u64,
    events_per_s: u32,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl RelayLatency {
    pub(super) fn to_measure(&self) -> BenchMeasure {
        let latency = LatencyPercentiles { p50_ms: self.p50_ms, p99_ms: self.p99_ms };
        let repetition = MeasureRepetition { latency: Some(latency), ..MeasureRepetition::from_value(self.p99_ms) };
        BenchMeasure::new("relay/commit-to-kafka", MeasureUnit::Milliseconds, vec![repetition])
            .with_setting("rate", self.events_per_s)
            .with_setting("max_ms", self.max_ms)
    }
}

type CommitTimes = Arc<Mutex<Vec<Option<Instant>>>>;

/// Appends single events at a steady rate, consumes them, and times each.
pub(super) async fn measure_latency(
    pool: &PgPool,
    relay: &impl Fn() -> Relay,
    topics: &KafkaConfig,
    options: RelayBenchOptions,
) -> anyhow::Result<RelayLatency> {
    // The first second warms up connections and caches, and is not measured.
    let warm_up_events = u64::from(options.rate);
    let events = warm_up_events + u64::from(options.rate) * u64::from(options.seconds);
    // Sets the checkpoint to the end of the log, so that earlier events do not delay the measured ones.
    let end: i64 = sqlx::query_scalar("select max(position) from events").fetch_one(pool).await?;
    sqlx::query("update relay_checkpoints set position = $1").bind(end).execute(pool).await?;
    let relay = relay();
    let (mut status, stop) = (relay.status(), CancellationToken::new());
    let task = tokio::spawn(relay.run(stop.clone()));
    tokio::time::timeout(PROGRESS_TIMEOUT, status.wait_for(|status| status.leading))
        .await
        .context("the relay does not become leader")??;

    let commits: CommitTimes = Arc::new(Mutex::new(vec![None; usize::try_from(events)?]));
    let consumer = topics::create_consumer(topics, Offset::Beginning)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (consumer_commits, consumer_stopped) = (Arc::clone(&commits), Arc::clone(&stopped));
    let consuming = tokio::task::spawn_blocking(move || {
        consume_records(&consumer, warm_up_events..events, &consumer_commits, &consumer_stopped)
    });
    let appended = append_at_rate(pool, options, events, &commits).await;
    if appended.is_err() {
        stopped.store(true, Ordering::Relaxed);
    }
    let outcome = consuming.await?;
    stop.cancel();
    task.await?;
    appended?;
    let waits = outcome?;
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    let ms = |micros: u64| micros as f64 / 1_000.0;
    Ok(RelayLatency {
        events: waits.len(),
        events_per_s: options.rate,
        p50_ms: ms(waits.value_at_quantile(0.5)),
        p99_ms: ms(waits.value_at_quantile(0.99)),
        max_ms: ms(waits.max()),
    })
}

async fn append_at_rate(
    pool: &PgPool,
    options: RelayBenchOptions,
    events: u64,
    commits: &CommitTimes,
) -> anyhow::Result<()> {
    let payload = log::sample_payloads()?.swap_remove(0);
    let period = Duration::from_secs(1) * WRITERS / options.rate.max(1);
    let started = Instant::now();
    let writers = (0..u64::from(WRITERS)).map(|writer| {
        let (store, payload, commits) = (PgBatchStore::new(pool.clone()), payload.clone(), Arc::clone(commits));
        async move {
            for (turn, number) in (0_u32..).zip((writer..events).step_by(usize::try_from(WRITERS)?)) {
                tokio::time::sleep_until((started + period * turn).into()).await;
                store.append_events(vec![discovered_event(number, payload.clone())]).await?;
                let committed = Instant::now();
                let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
                commits[usize::try_from(number)?] = Some(committed);
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    futures::future::try_join_all(writers).await.context("appending at a steady rate")?;
    Ok(())
}

fn discovered_event(number: u64, payload: String) -> NewEvent {
    NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: format!("{KEY_PREFIX}{number}"),
        sequence: 1,
        event_type: "opportunity.discovered".to_owned(),
        event_version: "1.0".to_owned(),
        payload,
        metadata: EventMetadata::default(),
    }
}

fn consume_records(
    consumer: &BaseConsumer,
    measured: Range<u64>,
    commits: &CommitTimes,
    stopped: &AtomicBool,
) -> anyhow::Result<Histogram<u64>> {
    let mut arrivals: Vec<(usize, Instant)> = Vec::new();
    let mut last = Instant::now();
    while (arrivals.len() as u64) < measured.end && !stopped.load(Ordering::Relaxed) {
        anyhow::ensure!(last.elapsed() < PROGRESS_TIMEOUT, "waiting for records timed out");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let (message, arrived) = (message?, Instant::now());
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        if let Some(number) = key.and_then(|key| key.strip_prefix(KEY_PREFIX)?.parse().ok()) {
            arrivals.push((number, arrived));
            last = arrived;
        }
    }
    let commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
    let mut waits = new_wait_histogram()?;
    for (number, arrived) in arrivals {
        if !measured.contains(&(number as u64)) {
            continue;
        }
        // A record may arrive before its writer has stored the commit time: that counts as zero.
        let committed = commits.get(number).copied().flatten();
        let wait = committed.map_or(Duration::ZERO, |committed| arrived.saturating_duration_since(committed));
        waits.saturating_record(to_micros(wait));
    }
    Ok(waits)
}
