//! `bench project` and `bench rebuild`: events into each read model, from Kafka and from the log, beside a plain client
//! that writes the same rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use projections::runtime::{AnyProjection, PartPhase, RebuildOptions, RebuildProgress, Worker};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    BenchFigures, BenchReport, baseline,
    bench_environment::{self, BenchEnvironment},
    cpu_time, log,
};
use crate::config::MedhubConfig;

/// Longest wait for something that does not come on.
const PROGRESS_TIMEOUT: Duration = Duration::from_mins(10);

/// How much is measured.
#[derive(Debug, Clone)]
pub struct ProjectionBenchOptions {
    /// Events in the log.
    pub events: u64,
    /// Which projections; all of them where none is named.
    pub projections: Vec<String>,
}

/// Rebuilds each read model from a log of its own, and writes the same rows by a plain client. One report each.
///
/// # Errors
/// When an engine does not do its part, or a generation is not what the log says.
pub async fn bench_rebuild(config: &MedhubConfig, work: ProjectionBenchOptions) -> anyhow::Result<Vec<BenchReport>> {
    bench_environment::with_bench_environment(config, async |field| {
        let payload_bytes = log::fill_log(&field.pool, work.events).await.context("filling the log")?;
        let mut reports = vec![];
        for projection in field.select_projections(&work.projections) {
            let report = measure_rebuild(field, &projection, work.events).await?;
            reports.push(report.with_figure("payload_bytes", payload_bytes));
        }
        Ok(reports)
    })
    .await
}

async fn measure_rebuild(
    field: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    events: u64,
) -> anyhow::Result<BenchReport> {
    let progress = watch::Sender::new(RebuildProgress::default());
    let (mut seen, options, stop) = (progress.subscribe(), RebuildOptions::default(), CancellationToken::new());
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time());
    let filled = tokio::spawn(async move {
        let done = |progress: &RebuildProgress| progress.parts.iter().any(|part| part.phase != PartPhase::Filling);
        seen.wait_for(done).await.is_ok().then(|| (Instant::now(), cpu_time::process_cpu_time()))
    });
    let one = std::slice::from_ref(projection);
    let report = field.runtime.rebuild(one, &options, &progress, &stop).await?;
    let took = started.elapsed();
    let (filled, filled_cpu) = filled.await?.context("the rebuild told nothing")?;
    let figures = BenchFigures::new(events, filled - started, filled_cpu.saturating_sub(cpu), None);
    ensure!(report.events == events, "{} of {events} events were read", report.events);
    let live = field.active_generation(projection.as_ref()).await?;
    let raw = baseline::write_baseline(field, projection.name(), live)
        .await
        .context("writing the same rows by a plain client")?;
    Ok(BenchReport::new(
        "rebuild",
        figures,
        raw.description,
        BenchFigures::new(events, raw.elapsed, Duration::ZERO, None),
    )
    .with_figure("projection", projection.name())
    .with_figure("rows", raw.rows)
    .with_figure("whole_s", took.as_secs_f64())
    .with_figure("verified_rows", report.verified.iter().map(|verification| verification.rows).sum::<u64>()))
}

/// Puts a log on topics of its own, lets the worker of each read model take it in, and writes the same rows by a plain
/// client. One report each.
///
/// # Errors
/// When an engine does not do its part.
pub async fn bench_projection(config: &MedhubConfig, work: ProjectionBenchOptions) -> anyhow::Result<Vec<BenchReport>> {
    bench_environment::with_bench_environment(config, async |field| {
        let payload_bytes = log::fill_log(&field.pool, work.events).await.context("filling the log")?;
        publish_log(field).await?;
        let mut reports = vec![];
        for projection in field.select_projections(&work.projections) {
            let report = measure_projection(field, &projection, work.events).await?;
            reports.push(report.with_figure("payload_bytes", payload_bytes));
        }
        Ok(reports)
    })
    .await
}

async fn measure_projection(
    field: &BenchEnvironment,
    projection: &Arc<dyn AnyProjection>,
    events: u64,
) -> anyhow::Result<BenchReport> {
    let live = field.active_generation(projection.as_ref()).await?;
    let build = field.runtime.control().load_generation(projection.name(), live).await?;
    let worker = Worker::new(field.runtime.clone(), projection.as_ref(), build);
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
    outcome.with_context(|| format!("{} does not come on: {:?}", projection.name(), status.get()))?;
    let (started, cpu) = started.context("the worker got no partitions")?;
    let figures = BenchFigures::new(events, ended.0 - started, ended.1.saturating_sub(cpu), None);
    let raw = baseline::write_baseline(field, projection.name(), live)
        .await
        .context("writing the same rows by a plain client")?;
    Ok(BenchReport::new(
        "project",
        figures,
        raw.description,
        BenchFigures::new(events, raw.elapsed, Duration::ZERO, None),
    )
    .with_figure("projection", projection.name())
    .with_figure("rows", raw.rows))
}

/// Puts the whole log on the field's topics.
async fn publish_log(field: &BenchEnvironment) -> anyhow::Result<()> {
    let end = field.runtime.log().completed_prefix().await?;
    let relay = field.new_relay();
    let (mut status, stop) = (relay.status(), CancellationToken::new());
    let task = tokio::spawn(relay.run(stop.clone()));
    let done = status.wait_for(|status| status.position >= end);
    let outcome = timeout(PROGRESS_TIMEOUT, done).await.map(|done| done.map(drop));
    stop.cancel();
    task.await?;
    outcome.context("the relay does not come on")?.context("the relay ended")
}
