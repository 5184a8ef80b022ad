//! `bench latency`: from the commit of an event until each store shows it, at a steady rate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use domain::{
    envelope::{EventMetadata, RawEnvelope},
    event_store::{BatchStore, NewEvent},
    log_reader::LogRange,
};
use eventstore::append::PgBatchStore;
use hdrhistogram::Histogram;
use projections::runtime::{AnyProjection, Supervisor};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    bench_environment::{self, BenchEnvironment},
    log, new_wait_histogram, to_micros,
};
use crate::config::MedhubConfig;

/// Appends that are under way at once.
const WRITERS: u32 = 4;

/// Pause between two looks at a store, and between two samples.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// An event that is not shown for so long is a failure, not a wait.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct LatencyBenchOptions {
    /// Events a second.
    pub rate: u32,
    /// For how many seconds.
    pub seconds: u32,
}

/// How long one store took.
#[derive(Debug, Clone, Serialize)]
pub struct VisibilityLatency {
    /// Which benchmark.
    pub bench: &'static str,
    /// Which read model.
    pub projection: &'static str,
    /// Events a second that were asked for, and that were appended.
    pub rate: u32,
    /// What was reached.
    pub appended_per_s: f64,
    /// Events that were watched, one at a time.
    pub samples: u64,
    /// Half of them were shown sooner, in milliseconds after their commit.
    pub p50_ms: f64,
    /// 99 of 100 were shown sooner.
    pub p99_ms: f64,
    /// The longest wait.
    pub max_ms: f64,
}

/// The newest event that is committed, and since when.
type NewestCommit = Arc<Mutex<Option<(u64, Instant)>>>;

/// Appends at a steady rate, with a relay and workers in this process, and watches each store.
///
/// # Errors
/// When an engine does not do its part.
pub async fn run(config: &MedhubConfig, work: LatencyBenchOptions) -> anyhow::Result<Vec<VisibilityLatency>> {
    bench_environment::with_bench_environment(config, async |field| {
        let stop = CancellationToken::new();
        let relay = tokio::spawn(field.new_relay().run(stop.clone()));
        let supervisor = Supervisor::new(field.runtime.clone(), field.read_models.all_projections());
        let workers = tokio::spawn(supervisor.run(stop.clone()));
        let outcome = measure_latency(field, work).await;
        stop.cancel();
        relay.await?;
        workers.await??;
        outcome
    })
    .await
}

async fn measure_latency(
    field: &BenchEnvironment,
    work: LatencyBenchOptions,
) -> anyhow::Result<Vec<VisibilityLatency>> {
    let payload = log::sample_payloads()?.swap_remove(0);
    // The first event finds connections, groups and caches cold: it is waited for and not counted.
    PgBatchStore::new(field.pool.clone()).append_events(vec![discovered_event("warm", 0, payload.clone())]).await?;
    for projection in field.select_projections(&[]) {
        wait_until_visible(field, &projection, &bench_aggregate_id("warm", 0)).await?;
    }
    let (newest, done) = (NewestCommit::default(), CancellationToken::new());
    let watching = field
        .select_projections(&[])
        .into_iter()
        .map(|projection| measure_projection(field, projection, &newest, &done));
    let append = async {
        let appended = append_at_rate(field, work, &payload, &newest).await;
        done.cancel();
        appended
    };
    let (appended, watched) = tokio::join!(append, futures::future::join_all(watching));
    let appended_per_s = appended?;
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let mut all = vec![];
    for outcome in watched {
        let (projection, waits) = outcome?;
        all.push(VisibilityLatency {
            bench: "latency",
            projection,
            rate: work.rate,
            appended_per_s,
            samples: waits.len(),
            p50_ms: ms(waits.value_at_quantile(0.5)),
            p99_ms: ms(waits.value_at_quantile(0.99)),
            max_ms: ms(waits.max()),
        });
    }
    Ok(all)
}

/// Appends single events at a steady rate; answers with the rate that was reached.
async fn append_at_rate(
    field: &BenchEnvironment,
    work: LatencyBenchOptions,
    payload: &str,
    newest: &NewestCommit,
) -> anyhow::Result<f64> {
    let events = u64::from(work.rate) * u64::from(work.seconds);
    let period = Duration::from_secs(1) * WRITERS / work.rate.max(1);
    let started = Instant::now();
    let writers = (0..u64::from(WRITERS)).map(|writer| {
        let (store, newest) = (PgBatchStore::new(field.pool.clone()), Arc::clone(newest));
        async move {
            for (turn, number) in (0_u32..).zip((writer..events).step_by(usize::try_from(WRITERS)?)) {
                tokio::time::sleep_until((started + period * turn).into()).await;
                store.append_events(vec![discovered_event("steady", number, payload.to_owned())]).await?;
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Instant::now()));
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    futures::future::try_join_all(writers).await.context("appending at a steady rate")?;
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    let events = events as f64;
    Ok(events / started.elapsed().as_secs_f64())
}

/// Takes the newest event again and again, and waits until the store shows it.
async fn measure_projection(
    field: &BenchEnvironment,
    projection: Arc<dyn AnyProjection>,
    newest: &NewestCommit,
    done: &CancellationToken,
) -> anyhow::Result<(&'static str, Histogram<u64>)> {
    let mut waits = new_wait_histogram()?;
    while !done.is_cancelled() {
        let taken = newest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((number, committed)) = taken {
            wait_until_visible(field, &projection, &bench_aggregate_id("steady", number)).await?;
            waits.saturating_record(to_micros(committed.elapsed()));
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
    Ok((projection.name(), waits))
}

/// Waits until a store shows the first event of a stream.
async fn wait_until_visible(
    field: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    aggregate_id: &str,
) -> anyhow::Result<()> {
    let event = wait_until_recorded(field, aggregate_id).await?;
    let live = projection.with_generation(field.active_generation(projection.as_ref()).await?);
    let changes = live.project(&[&event]);
    let started = Instant::now();
    while !live.is_applied(&changes).await? {
        ensure!(started.elapsed() < VISIBILITY_TIMEOUT, "{} does not show {aggregate_id}", projection.name());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// The event as the log has it, once the appends that are open below it have ended.
async fn wait_until_recorded(field: &BenchEnvironment, aggregate_id: &str) -> anyhow::Result<RawEnvelope> {
    let asked = Instant::now();
    loop {
        if let Some(event) = read_first_event(field, aggregate_id).await? {
            return Ok(event);
        }
        ensure!(asked.elapsed() < VISIBILITY_TIMEOUT, "the log does not hold {aggregate_id}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn read_first_event(field: &BenchEnvironment, aggregate_id: &str) -> anyhow::Result<Option<RawEnvelope>> {
    let part = LogRange {
        contexts: vec![],
        aggregate_id: Some(aggregate_id.to_owned()),
        after: 0,
        to: u64::MAX >> 1,
        batch_events: 1,
        batch_bytes: 1,
    };
    let mut cursor = field.runtime.log().read_batches(part).await?;
    while let Some(batch) = cursor.read_next_batch().await? {
        if let Some(event) = batch.events.into_iter().next() {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn bench_aggregate_id(kind: &str, number: u64) -> String {
    format!("bench:{kind}-{number}")
}

fn discovered_event(kind: &str, number: u64, payload: String) -> NewEvent {
    NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: bench_aggregate_id(kind, number),
        sequence: 1,
        event_type: "opportunity.discovered".to_owned(),
        event_version: "1.0".to_owned(),
        payload,
        metadata: EventMetadata::default(),
    }
}
