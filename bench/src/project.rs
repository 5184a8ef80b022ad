//! `bench project` and `bench rebuild`: measure applying events to each read model, from Kafka and from the log, beside
//! a plain client that writes the same rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::config::EngineConfig;
use projections::runtime::{AnyProjection, RebuildOptions, RebuildPhase, RebuildProgress, RebuildReport, Worker};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    BenchFigures, BenchReport, baseline,
    bench_environment::{self, BenchEnvironment},
    cpu_time, log,
};

/// Timeout of the relay and of a worker.
const PROGRESS_TIMEOUT: Duration = Duration::from_mins(10);

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct ProjectionBenchOptions {
    /// Number of events in the log.
    pub events: u64,
    /// Projections to measure; all if empty.
    pub projections: Vec<String>,
}

/// Rebuilds each read model from a generated log, and writes the same rows with a plain client. Returns one report
/// each.
///
/// # Errors
/// When an engine fails, or a generation differs from the log.
pub async fn bench_rebuild(config: &EngineConfig, options: ProjectionBenchOptions) -> anyhow::Result<Vec<BenchReport>> {
    bench_environment::with_bench_environment(config, async |environment| {
        let payload_bytes = log::fill_log(&environment.pool, options.events).await.context("filling the log")?;
        let mut reports = vec![];
        for projection in environment.select_projections(&options.projections) {
            let report = measure_rebuild(environment, &projection, options.events).await?;
            reports.push(report.with_figure("payload_bytes", payload_bytes));
        }
        Ok(reports)
    })
    .await
}

/// A rebuild, and what its filling took.
pub(super) struct TimedRebuild {
    pub(super) report: RebuildReport,
    /// Figures of the filling.
    pub(super) figures: BenchFigures,
    /// Elapsed time including verify.
    pub(super) elapsed: Duration,
}

/// Rebuilds a read model.
pub(super) async fn time_rebuild(
    environment: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
) -> anyhow::Result<TimedRebuild> {
    let progress = watch::Sender::new(RebuildProgress::default());
    let (mut receiver, options, stop) = (progress.subscribe(), RebuildOptions::default(), CancellationToken::new());
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
    let filled = tokio::spawn(async move {
        let is_filled =
            |progress: &RebuildProgress| progress.parts.iter().any(|part| part.phase != RebuildPhase::Filling);
        receiver.wait_for(is_filled).await.is_ok().then(|| (Instant::now(), cpu_time::process_cpu_time()))
    });
    let projections = std::slice::from_ref(projection);
    let report = environment.runtime.rebuild(projections, &options, &progress, &stop).await?;
    let elapsed = started.elapsed();
    let (filled_at, filled_cpu) = filled.await?.context("the rebuild reported no progress")?;
    let figures = BenchFigures::new(report.events, filled_at - started, filled_cpu.saturating_sub(cpu), None);
    Ok(TimedRebuild { report, figures, elapsed })
}

async fn measure_rebuild(
    environment: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    events: u64,
) -> anyhow::Result<BenchReport> {
    let TimedRebuild { report, figures, elapsed } = time_rebuild(environment, projection).await?;
    ensure!(report.events == events, "{} of {events} events were read", report.events);
    let active = environment.active_generation(projection.as_ref()).await?;
    let raw = baseline::write_baseline(environment, projection.name(), active)
        .await
        .context("writing the same rows with a plain client")?;
    Ok(BenchReport::new(
        "rebuild",
        figures,
        raw.description,
        BenchFigures::new(events, raw.elapsed, Duration::ZERO, None),
    )
    .with_figure("projection", projection.name())
    .with_figure("rows", raw.rows)
    .with_single_throughput(&format!("rebuild/{}", projection.name()))
    .with_figure("whole_s", elapsed.as_secs_f64())
    .with_figure("verified_rows", report.verified.iter().map(|verification| verification.rows).sum::<u64>()))
}

/// Publishes a generated log, lets the worker of each read model apply it, and writes the same rows with a plain
/// client. Returns one report each.
///
/// # Errors
/// When an engine fails.
pub async fn bench_projection(
    config: &EngineConfig,
    options: ProjectionBenchOptions,
) -> anyhow::Result<Vec<BenchReport>> {
    bench_environment::with_bench_environment(config, async |environment| {
        let payload_bytes = log::fill_log(&environment.pool, options.events).await.context("filling the log")?;
        publish_log(environment).await?;
        let mut reports = vec![];
        for projection in environment.select_projections(&options.projections) {
            let report = measure_projection(environment, &projection, options.events).await?;
            reports.push(report.with_figure("payload_bytes", payload_bytes));
        }
        Ok(reports)
    })
    .await
}

async fn measure_projection(
    environment: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    events: u64,
) -> anyhow::Result<BenchReport> {
    let active = environment.active_generation(projection.as_ref()).await?;
    let build = environment.runtime.control().load_generation(projection.name(), active).await?;
    let worker = Worker::new(environment.runtime.clone(), projection.as_ref(), build);
    let (mut status, stop) = (worker.status(), CancellationToken::new());
    let task = tokio::spawn(worker.run(stop.clone()));
    let mut started = None;
    let outcome = timeout(PROGRESS_TIMEOUT, async {
        loop {
            let now = status.get();
            if started.is_none() && now.partitions > 0 {
                started = Some((Instant::now(), cpu_time::process_cpu_time()));
            }
            if now.applied >= events {
                return;
            }
            status.changed().await;
        }
    });
    let outcome = outcome.await;
    let ended = (Instant::now(), cpu_time::process_cpu_time());
    stop.cancel();
    task.await??;
    outcome.with_context(|| format!("projection {} does not catch up: {:?}", projection.name(), status.get()))?;
    let (started, cpu) = started.context("the worker got no partitions")?;
    let figures = BenchFigures::new(events, ended.0 - started, ended.1.saturating_sub(cpu), None);
    let raw = baseline::write_baseline(environment, projection.name(), active)
        .await
        .context("writing the same rows with a plain client")?;
    Ok(BenchReport::new(
        "project",
        figures,
        raw.description,
        BenchFigures::new(events, raw.elapsed, Duration::ZERO, None),
    )
    .with_single_throughput(&format!("project/{}", projection.name()))
    .with_figure("projection", projection.name())
    .with_figure("rows", raw.rows))
}

/// Publishes the whole log to the topics of the environment.
pub(super) async fn publish_log(environment: &BenchEnvironment) -> anyhow::Result<()> {
    let end = environment.runtime.log().load_fence().await?;
    let relay = environment.new_relay()?;
    let (mut status, stop) = (relay.status(), CancellationToken::new());
    let task = tokio::spawn(relay.run(stop.clone()));
    let done = status.wait_for(|status| status.position >= end);
    let outcome = timeout(PROGRESS_TIMEOUT, done).await.map(|done| done.map(drop));
    stop.cancel();
    task.await?;
    outcome.context("the relay does not catch up")?.context("the relay ended")
}
