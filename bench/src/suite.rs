//! `bench all`: runs every benchmark in one go and writes a report.
//!
//! The report is written after each part, so that what was measured remains if a later part fails or the run is
//! interrupted.

mod bench_part;
mod bench_scale;
mod engine_versions;
mod measured_service;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    app_context::AppContext,
    config::{EngineConfig, HttpConfig},
};
use chrono::{DateTime, Utc};
use documents::ExtractionConfig;

pub(crate) use self::measured_service::{MeasuredService, import_notices};
pub use self::{bench_part::BenchPart, bench_scale::BenchScale, measured_service::ServiceProgram};
use crate::{
    api::{self as api_bench, ApiBenchOptions},
    append::{self, AppendBenchOptions, CommandStoreKind},
    bench_environment::{self, BenchEnvironment},
    documents::{self as document_bench, DocumentBenchOptions},
    idle,
    latency::{self, LatencyBenchOptions},
    project::{self, ProjectionBenchOptions},
    relay::{self, RelayBenchOptions},
    replay::{self, ReplayBenchOptions},
    report::{BenchMeasure, BenchRunReport, BuildDescription, MachineDescription, REPORT_SCHEMA_VERSION},
    termination::TerminationSignals,
};

/// Events per batch, and batches at once, of the benchmark of appends.
const APPEND_BATCH_EVENTS: usize = 500;
const APPEND_BATCH_WRITERS: usize = 2;

/// What to measure, and where to write the report.
#[derive(Debug, Clone)]
pub struct BenchSuiteOptions {
    /// Parts, in the order of the run.
    pub parts: Vec<BenchPart>,
    /// Sizes.
    pub scale: BenchScale,
    /// The service for measurements of requests.
    pub service: ServiceProgram,
    /// Settings of the text extraction that documents are compared with.
    pub extraction: ExtractionConfig,
    /// The report.
    pub report_file: PathBuf,
    /// The picture of the report.
    pub picture_file: PathBuf,
    /// The measured commit; `None` asks `git`.
    pub commit: Option<String>,
    /// When the run begins.
    pub started_at: DateTime<Utc>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchSuiteOutcome {
    /// The report as it was written.
    pub report: BenchRunReport,
    /// Whether a signal ended the run.
    pub interrupted: bool,
}

/// Runs the parts one after the other, and writes the report after each. A part that fails is named in the report, and
/// the others still run; SIGINT and SIGTERM end the current part, which removes its data, and the run.
///
/// # Errors
/// When the report cannot be written.
pub async fn run(
    config: &EngineConfig,
    options: &BenchSuiteOptions,
    progress: &(dyn Fn(String) + Sync),
) -> anyhow::Result<BenchSuiteOutcome> {
    let mut signals = TerminationSignals::install().context("listening for SIGTERM and SIGINT")?;
    let started = Instant::now();
    let mut report = BenchRunReport {
        schema_version: REPORT_SCHEMA_VERSION,
        started_at: options.started_at,
        seconds: 0.0,
        complete: false,
        scale: options.scale.name.to_owned(),
        machine: MachineDescription::detect(),
        build: BuildDescription::detect(options.commit.clone()).await,
        engines: engine_versions::load_engine_versions(config).await,
        settings: options.scale.describe(),
        failures: [].into(),
        measures: vec![],
    };
    // Now, so that a file that cannot be written is known before anything is measured.
    write_report(&report, options)?;
    let suite = BenchSuite { config, options, progress };
    let mut interrupted = false;
    for (number, &part) in options.parts.iter().enumerate() {
        interrupted = interrupted || signals.has_received_signal();
        if interrupted {
            break;
        }
        progress(format!("{} of {}: {}", number + 1, options.parts.len(), part.name()));
        let part_started = Instant::now();
        match suite.run_part(part).await {
            Ok(measures) => {
                let first = report.measures.len();
                report.add_measures(BenchMeasure::merge_repetitions(measures));
                for measure in report.measures.iter().skip(first) {
                    progress(format!("  {measure}"));
                }
            }
            Err(error) => {
                interrupted = signals.has_received_signal();
                let reason = format!("{error:#}");
                progress(format!("  {} failed: {reason}", part.name()));
                report.failures.insert(part.name().to_owned(), reason);
            }
        }
        let seconds = part_started.elapsed().as_secs_f64();
        report.settings.insert(format!("{}.seconds", part.name()), format!("{seconds:.1}"));
        report.seconds = started.elapsed().as_secs_f64();
        report.complete = report.failures.is_empty() && number + 1 == options.parts.len();
        write_report(&report, options)?;
    }
    Ok(BenchSuiteOutcome { report, interrupted })
}

fn write_report(report: &BenchRunReport, options: &BenchSuiteOptions) -> anyhow::Result<()> {
    report.write_file(&options.report_file)?;
    report.write_picture(&options.picture_file)
}

struct BenchSuite<'a> {
    config: &'a EngineConfig,
    options: &'a BenchSuiteOptions,
    progress: &'a (dyn Fn(String) + Sync),
}

impl BenchSuite<'_> {
    /// Runs a part with all its repetitions.
    async fn run_part(&self, part: BenchPart) -> anyhow::Result<Vec<BenchMeasure>> {
        let scale = self.options.scale;
        match part {
            BenchPart::Append => self.measure_appends().await,
            BenchPart::Replay => {
                let options = ReplayBenchOptions { events: scale.replay_events, rounds: scale.repetitions };
                Ok(replay::run(&self.config.postgres, options).await?.measures)
            }
            BenchPart::Relay => {
                let options = RelayBenchOptions {
                    events: scale.relay_events,
                    rounds: scale.repetitions,
                    rate: scale.relay_rate,
                    seconds: scale.steady_seconds,
                };
                Ok(Box::pin(relay::run(self.config, options)).await?.measures)
            }
            BenchPart::Rebuild => {
                let options = ProjectionBenchOptions { events: scale.projection_events, projections: vec![] };
                self.repeat(async || {
                    let reports = Box::pin(project::bench_rebuild(self.config, options.clone())).await?;
                    Ok(reports.into_iter().flat_map(|report| report.measures).collect())
                })
                .await
            }
            BenchPart::Project => {
                let options = ProjectionBenchOptions { events: scale.projection_events, projections: vec![] };
                self.repeat(async || {
                    let reports = Box::pin(project::bench_projection(self.config, options.clone())).await?;
                    Ok(reports.into_iter().flat_map(|report| report.measures).collect())
                })
                .await
            }
            BenchPart::Latency => {
                let options = LatencyBenchOptions { rate: scale.latency_rate, seconds: scale.steady_seconds };
                self.repeat(async || {
                    let latencies = Box::pin(latency::run(self.config, options)).await?;
                    Ok(latencies.iter().map(latency::VisibilityLatency::to_measure).collect())
                })
                .await
            }
            BenchPart::Api => Box::pin(self.measure_requests()).await,
            BenchPart::Documents => Box::pin(self.measure_documents()).await,
        }
    }

    /// Runs a measurement as often as the scale says, unless a signal arrives.
    async fn repeat(
        &self,
        measure: impl AsyncFn() -> anyhow::Result<Vec<BenchMeasure>>,
    ) -> anyhow::Result<Vec<BenchMeasure>> {
        // A signal that arrives between two repetitions reaches no handler of theirs.
        let mut signals = TerminationSignals::install().context("listening for SIGTERM and SIGINT")?;
        let repetitions = self.options.scale.repetitions;
        let mut measures = vec![];
        for number in 1..=repetitions {
            measures.extend(measure().await?);
            ensure!(!signals.has_received_signal(), "interrupted");
            if repetitions > 1 {
                (self.progress)(format!("  repetition {number} of {repetitions}"));
            }
        }
        Ok(measures)
    }

    async fn measure_appends(&self) -> anyhow::Result<Vec<BenchMeasure>> {
        let scale = self.options.scale;
        let options = AppendBenchOptions {
            in_flight: scale.append_in_flight,
            round_duration: scale.append_duration,
            rounds: usize::try_from(scale.repetitions)?,
            batch_events: APPEND_BATCH_EVENTS,
            batch_writers: APPEND_BATCH_WRITERS,
            store: CommandStoreKind::Medhub,
        };
        let progress = |line| (self.progress)(format!("  {line}"));
        Ok(Box::pin(append::run(self.config, &options, &progress)).await?.measures)
    }

    async fn measure_requests(&self) -> anyhow::Result<Vec<BenchMeasure>> {
        let scale = self.options.scale;
        Box::pin(self.with_service(async |environment, service| {
            import_notices(environment, scale.api_notices).await?;
            let app = AppContext::open_without_model(&environment.config, &HttpConfig::default())?;
            api_bench::wait_for_projections(&app).await?;
            let options = ApiBenchOptions {
                base_url: service.base_url.clone(),
                operator_token: service.operator_token.clone(),
                requests: scale.api_requests,
                rate: scale.api_rate,
                subscribers: scale.api_subscribers,
                changes: scale.api_changes,
                opportunities: 0,
                kinds: vec![],
            };
            let idle_seconds = Duration::from_secs(scale.steady_seconds.into());
            let repetitions = self.repeat(async || {
                let mut measures = vec![];
                let collect = |report: &api_bench::ApiBenchReport| {
                    measures.push(report.to_measure());
                    Ok(())
                };
                Box::pin(api_bench::run(&app, &options, collect)).await?;
                api_bench::wait_for_projections(&app).await?;
                // A system that does not count CPU time in `/proc` has no such figures.
                if let Ok(load) = idle::measure_idle_load(Some(service.process_id()?), idle_seconds).await {
                    measures.extend(load.to_measures());
                }
                measures.extend(service.peak_memory());
                Ok(measures)
            });
            let measures = repetitions.await;
            app.pool.close().await;
            measures
        }))
        .await
    }

    async fn measure_documents(&self) -> anyhow::Result<Vec<BenchMeasure>> {
        let documents = self.options.scale.documents;
        self.with_service(async |_, service| {
            let options = DocumentBenchOptions {
                base_url: service.base_url.clone(),
                documents,
                extraction: self.options.extraction.clone(),
            };
            let mut measures = vec![];
            let collect = |report: &crate::BenchReport| {
                measures.extend(report.measures.iter().cloned());
                Ok(())
            };
            document_bench::run(&options, collect).await?;
            Ok(measures)
        })
        .await
    }

    /// Runs `work` with its own service, which is stopped before its environment is removed.
    async fn with_service(
        &self,
        work: impl AsyncFnOnce(&BenchEnvironment, &MeasuredService) -> anyhow::Result<Vec<BenchMeasure>>,
    ) -> anyhow::Result<Vec<BenchMeasure>> {
        bench_environment::with_bench_environment(self.config, async |environment| {
            let service = MeasuredService::start(environment, &self.options.service).await?;
            let outcome = work(environment, &service).await;
            let stopped = service.stop().await;
            outcome.and_then(|measures| stopped.map(|()| measures))
        })
        .await
    }
}
