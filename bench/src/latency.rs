//! `bench latency`: measures the time from the commit of an event until each read model shows it, at a steady rate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::config::EngineConfig;
use domain::{
    envelope::{EventMetadata, RawEnvelope},
    event_store::{CommandBatchStore, DecidedCommand},
    opportunity::{Opportunity, OpportunityEvent},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use futures::stream::{FuturesUnordered, StreamExt};
use hdrhistogram::Histogram;
use projections::runtime::{AnyProjection, Supervisor};
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    bench_environment::{self, BenchEnvironment},
    log, new_wait_histogram,
    report::{BenchMeasure, LatencyPercentiles, MeasureRepetition, MeasureUnit},
    to_micros,
};

/// Appends in flight at once, of one event each. As for commands, those that wait at the same time are committed together.
const WRITERS: u32 = 32;

/// Aggregate type of the appended events.
const AGGREGATE_TYPE: &str = "opportunity";

/// Shortest pause between two polls of a read model.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Polls of a sample keep the store busy for a quarter of the time at most.
const POLL_PAUSE_FACTOR: u32 = 3;

/// Time between two samples of a read model, whether the one before is visible or not: otherwise slow periods would have fewer.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// An event that is not visible after this time fails the benchmark.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// Options of the benchmark.
#[derive(Debug, Clone, Copy)]
pub struct LatencyBenchOptions {
    /// Events per second.
    pub rate: u32,
    /// Duration in seconds.
    pub seconds: u32,
}

/// Result of one read model.
#[derive(Debug, Clone, Serialize)]
pub struct VisibilityLatency {
    /// Name of the benchmark.
    pub bench: &'static str,
    /// Name of the read model.
    pub projection: &'static str,
    /// Requested rate, in events per second.
    pub rate: u32,
    /// Rate that was achieved, in events per second.
    pub appended_per_s: f64,
    /// Number of sampled events, one at a time.
    pub samples: u64,
    /// Median time from commit to visible, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// Maximum, in milliseconds.
    pub max_ms: f64,
}

impl VisibilityLatency {
    /// Returns the common result.
    pub fn to_measure(&self) -> BenchMeasure {
        let latency = LatencyPercentiles { p50_ms: self.p50_ms, p99_ms: self.p99_ms };
        let repetition = MeasureRepetition { latency: Some(latency), ..MeasureRepetition::from_value(self.p99_ms) };
        BenchMeasure::new(format!("latency/{}", self.projection), MeasureUnit::Milliseconds, vec![repetition])
            .with_setting("rate", self.rate)
            .with_setting("appended_per_s", self.appended_per_s)
            .with_setting("max_ms", self.max_ms)
    }
}

/// The newest committed event, and when it was committed.
type NewestCommit = Arc<Mutex<Option<(u64, Instant)>>>;

/// Appends at a steady rate, with a relay and workers in this process, and polls each read model.
///
/// # Errors
/// When an engine fails or an event does not become visible.
pub async fn run(config: &EngineConfig, options: LatencyBenchOptions) -> anyhow::Result<Vec<VisibilityLatency>> {
    bench_environment::with_bench_environment(config, async |environment| {
        let stop = CancellationToken::new();
        let relay = tokio::spawn(environment.new_relay()?.run(stop.clone()));
        let supervisor = Supervisor::new(environment.runtime.clone(), environment.read_models.all_projections());
        let workers = tokio::spawn(supervisor.run(stop.clone()));
        let outcome = measure_latency(environment, options).await;
        stop.cancel();
        relay.await?;
        workers.await??;
        outcome
    })
    .await
}

async fn measure_latency(
    environment: &BenchEnvironment,
    options: LatencyBenchOptions,
) -> anyhow::Result<Vec<VisibilityLatency>> {
    let sample: OpportunityEvent = serde_json::from_str(&log::sample_payloads()?.swap_remove(0))?;
    let store = PgEventStore::<Opportunity>::new(environment.pool.clone(), &PostgresConfig::default());
    // The first event warms up connections, consumer groups and caches, and is not measured.
    append_event(&store, "warm", 0, &sample).await?;
    for projection in environment.select_projections(&[]) {
        wait_until_visible(environment, &projection, &bench_aggregate_id("warm", 0)).await?;
    }
    let (newest, done) = (NewestCommit::default(), CancellationToken::new());
    let measurements = environment
        .select_projections(&[])
        .into_iter()
        .map(|projection| measure_projection(environment, projection, &newest, &done));
    let append = async {
        let appended = append_at_rate(&store, options, &sample, &newest).await;
        done.cancel();
        appended
    };
    let (appended, outcomes) = tokio::join!(append, futures::future::join_all(measurements));
    let appended_per_s = appended?;
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let mut all = vec![];
    for outcome in outcomes {
        let (projection, waits) = outcome?;
        all.push(VisibilityLatency {
            bench: "latency",
            projection,
            rate: options.rate,
            appended_per_s,
            samples: waits.len(),
            p50_ms: ms(waits.value_at_quantile(0.5)),
            p99_ms: ms(waits.value_at_quantile(0.99)),
            max_ms: ms(waits.max()),
        });
    }
    Ok(all)
}

/// Appends single events at a steady rate; returns the achieved rate.
async fn append_at_rate(
    store: &PgEventStore<Opportunity>,
    options: LatencyBenchOptions,
    sample: &OpportunityEvent,
    newest: &NewestCommit,
) -> anyhow::Result<f64> {
    let events = u64::from(options.rate) * u64::from(options.seconds);
    let period = Duration::from_secs(1) * WRITERS / options.rate.max(1);
    let started = Instant::now();
    let writers = (0..u64::from(WRITERS)).map(|writer| {
        let newest = Arc::clone(newest);
        async move {
            for (turn, number) in (0_u32..).zip((writer..events).step_by(usize::try_from(WRITERS)?)) {
                tokio::time::sleep_until((started + period * turn).into()).await;
                append_event(store, "steady", number, sample).await?;
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

/// Repeatedly takes the newest event and waits until the read model shows it.
async fn measure_projection(
    environment: &BenchEnvironment,
    projection: Arc<dyn AnyProjection>,
    newest: &NewestCommit,
    done: &CancellationToken,
) -> anyhow::Result<(&'static str, Histogram<u64>)> {
    let mut waits = new_wait_histogram()?;
    let (mut samples, mut last_sample) = (FuturesUnordered::new(), None);
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick(), if !done.is_cancelled() => {
                let newest = *newest.lock().unwrap_or_else(PoisonError::into_inner);
                let is_new = |(number, _): &(u64, Instant)| last_sample.replace(*number) != Some(*number);
                samples.extend(newest.filter(is_new).map(async |(number, committed_at)| {
                    wait_until_visible(environment, &projection, &bench_aggregate_id("steady", number)).await?;
                    Ok::<_, anyhow::Error>(committed_at.elapsed())
                }));
            }
            Some(waited) = samples.next() => waits.saturating_record(to_micros(waited?)),
            () = done.cancelled(), if samples.is_empty() => return Ok((projection.name(), waits)),
        }
    }
}

/// Waits until the read model shows the first event of a stream.
async fn wait_until_visible(
    environment: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    aggregate_id: &str,
) -> anyhow::Result<()> {
    let event = wait_until_recorded(environment, aggregate_id).await?;
    let active = projection.with_generation(environment.active_generation(projection.as_ref()).await?);
    let changes = active.project(&[&event]);
    let started = Instant::now();
    loop {
        let queried_at = Instant::now();
        if active.is_applied(&changes).await? {
            return Ok(());
        }
        ensure!(started.elapsed() < VISIBILITY_TIMEOUT, "{} does not show {aggregate_id}", projection.name());
        tokio::time::sleep(POLL_INTERVAL.max(queried_at.elapsed() * POLL_PAUSE_FACTOR)).await;
    }
}

/// Loads the event from the log. Not by a replay, which takes a connection of the pool for itself and closes it: those who
/// append would have to connect again.
async fn wait_until_recorded(environment: &BenchEnvironment, aggregate_id: &str) -> anyhow::Result<RawEnvelope> {
    let started = Instant::now();
    loop {
        if let Some(event) = read_first_event(environment, aggregate_id).await? {
            return Ok(event);
        }
        ensure!(started.elapsed() < VISIBILITY_TIMEOUT, "the log does not contain {aggregate_id}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn read_first_event(environment: &BenchEnvironment, aggregate_id: &str) -> anyhow::Result<Option<RawEnvelope>> {
    let events = environment.runtime.log().load_stream(AGGREGATE_TYPE, aggregate_id, 0, 1).await?;
    Ok(events.into_iter().next())
}

fn bench_aggregate_id(kind: &str, number: u64) -> String {
    format!("bench:{kind}-{number}")
}

/// Appends the first event of a new stream, as a command would.
async fn append_event(
    store: &PgEventStore<Opportunity>,
    kind: &str,
    number: u64,
    event: &OpportunityEvent,
) -> anyhow::Result<()> {
    let command = DecidedCommand { events: vec![event.clone()], metadata: EventMetadata::default() };
    store.append_commands(&bench_aggregate_id(kind, number), 0, vec![command]).await.context("appending an event")
}
