//! Measures appends: single commands through the dispatcher, and batches, beside pgbench.
//!
//! All three take turns in rounds, on one server and one database created for the benchmark, so that changes of the
//! machine's speed affect all of them; a ratio is the median over the rounds.

mod append_bench;
mod database;
mod pgbench;
mod server_cpu;
mod workload;

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use api::config::EngineConfig;
use domain::opportunity::InvalidValue;
use eventstore::error::LogError;

use self::{
    append_bench::{AppendBench, AppendMeasurement, AppendRound},
    database::AppendBenchDatabase,
    pgbench::PgbenchRunner,
    workload::Workload,
};
use super::{BenchFigures, BenchReport, termination::TerminationSignals};

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct AppendBenchOptions {
    /// Commands in flight at once, and clients of pgbench.
    pub in_flight: usize,
    /// Duration of each measurement in a round.
    pub round_duration: Duration,
    /// Number of rounds.
    pub rounds: usize,
    /// Events per batch.
    pub batch_events: usize,
    /// Batches appended at once.
    pub batch_writers: usize,
    /// The event store that handles single commands.
    pub store: CommandStoreKind,
}

/// An event store of single commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandStoreKind {
    /// The product's event store.
    Medhub,
    /// The event store of the library postgres-es, on the same table.
    PostgresEs,
}

/// Why the benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendBenchError {
    /// A statement failed.
    #[error("{doing}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// The error of Postgres.
        #[source]
        source: sqlx::Error,
    },
    /// The database of the benchmark could not be migrated.
    #[error("preparing the database of the benchmark")]
    Migrate(#[source] LogError),
    /// pgbench is not installed.
    #[error(
        "pgbench is not on PATH nor in /usr/lib/postgresql/*/bin; install it (Debian and Ubuntu: postgresql; Fedora: \
         postgresql-contrib)"
    )]
    NoPgbench,
    /// pgbench could not be started.
    #[error("running {program}")]
    RunPgbench {
        /// The program.
        program: PathBuf,
        /// Why it did not start.
        #[source]
        source: std::io::Error,
    },
    /// pgbench failed.
    #[error("pgbench ended with {status}: {stderr}")]
    Pgbench {
        /// Exit status of pgbench.
        status: ExitStatus,
        /// Its standard error.
        stderr: String,
    },
    /// A value of the sample is not valid: a defect of this program.
    #[error("creating the sample notice")]
    Notice(#[source] InvalidValue),
    /// A command does not record exactly one event: a defect of this program.
    #[error("a command of the sample records {events} events instead of one")]
    Workload {
        /// Number of events.
        events: usize,
    },
    /// An event cannot be serialized: a defect of this program.
    #[error("serializing a sample event")]
    Json(#[source] serde_json::Error),
    /// A command or a batch failed.
    #[error("{doing}")]
    Append {
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The histogram could not be created: a defect of this program.
    #[error("creating a histogram")]
    Histogram(#[source] hdrhistogram::CreationError),
    /// A measuring task panicked.
    #[error("a measuring task panicked")]
    TaskPanicked(#[source] tokio::task::JoinError),
    /// The handlers of signals cannot be installed.
    #[error("listening for SIGTERM and SIGINT")]
    Signals(#[source] std::io::Error),
    /// Interrupted by SIGINT or SIGTERM.
    #[error("interrupted; the database of the benchmark is removed")]
    Interrupted,
}

/// Runs all rounds, and reports each on `progress`. The database of the benchmark is removed in any case.
///
/// # Errors
/// [`AppendBenchError`] when the server or pgbench fails, or on SIGINT or SIGTERM.
pub async fn run(
    config: &EngineConfig,
    options: &AppendBenchOptions,
    progress: &(dyn Fn(String) + Sync),
) -> Result<BenchReport, AppendBenchError> {
    let mut signals = TerminationSignals::install().map_err(AppendBenchError::Signals)?;
    // The connections that the settings allow a process, and one for observing the server.
    let database = AppendBenchDatabase::create_database(config, config.postgres.max_connections + 1).await?;
    let outcome = tokio::select! {
        outcome = measure_rounds(config, options, &database, progress) => outcome,
        () = signals.recv_signal() => Err(AppendBenchError::Interrupted),
    };
    let dropped = database.drop_database().await;
    outcome.and_then(|report| dropped.map(|()| report))
}

async fn measure_rounds(
    config: &EngineConfig,
    options: &AppendBenchOptions,
    database: &AppendBenchDatabase,
    progress: &(dyn Fn(String) + Sync),
) -> Result<BenchReport, AppendBenchError> {
    let workload = Workload::new()?;
    let sample = workload.sample_events()?;
    let pgbench = PgbenchRunner::prepare(config, &database.pool, &database.options, options.in_flight, &sample).await?;
    let bytes = usize::midpoint(sample.discovered.len(), sample.amended.len());
    let bench = AppendBench::new(config, options, database, workload, sample, pgbench).await;
    progress(format!("warming up; {} in flight, {bytes} bytes of payload", options.in_flight));
    bench.run_round(options.round_duration.min(Duration::from_secs(1)), 0).await?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = bench.run_round(options.round_duration, number).await?;
        progress(format!(
            "round {number} of {}: commands {:.0}/s, batches {:.0}/s, pgbench {:.0}/s",
            options.rounds,
            round.commands.figures.events_per_s,
            round.batches.figures.events_per_s,
            round.pgbench.figures.events_per_s
        ));
        rounds.push(round);
    }
    Ok(build_report(options, bytes, &rounds))
}

fn build_report(options: &AppendBenchOptions, payload_bytes: usize, rounds: &[AppendRound]) -> BenchReport {
    let median_of = |figure: fn(&AppendRound) -> f64| median(rounds.iter().map(figure).collect());
    let single = median_round_figures(rounds, |round| &round.commands.figures);
    let batch = median_round_figures(rounds, |round| &round.batches.figures);
    let raw = median_round_figures(rounds, |round| &round.pgbench.figures);
    let server_cpu = |figure: fn(&AppendRound) -> Option<f64>| {
        let used: Option<Vec<f64>> = rounds.iter().map(figure).collect();
        used.map(median)
    };
    let mut report = BenchReport::new("append", single, pgbench::DESCRIPTION, raw)
        .with_figure("batch", serde_json::to_value(&batch).unwrap_or_default())
        .with_figure(
            "batch_ratio",
            median_of(|round| round.batches.figures.events_per_s / round.pgbench.figures.events_per_s),
        )
        .with_figure("raw_mean_ms", median_of(|round| round.pgbench_mean_ms))
        .with_figure("postgres_cpu_us_per_event", server_cpu(|round| round.commands.server_us_per_event))
        .with_figure("batch_postgres_cpu_us_per_event", server_cpu(|round| round.batches.server_us_per_event))
        .with_figure("raw_postgres_cpu_us_per_event", server_cpu(|round| round.pgbench.server_us_per_event))
        .with_figure("store", if options.store == CommandStoreKind::Medhub { "medhub" } else { "postgres-es" })
        .with_figure("in_flight", options.in_flight)
        .with_figure("batch_events", options.batch_events)
        .with_figure("batch_writers", options.batch_writers)
        .with_figure("payload_bytes", payload_bytes)
        .with_figure("rounds", options.rounds);
    report.ratio = median_of(|round| round.commands.figures.events_per_s / round.pgbench.figures.events_per_s);
    let figures_of = |figures: fn(&AppendRound) -> &AppendMeasurement| -> Vec<BenchFigures> {
        rounds.iter().map(|round| figures(round).figures.clone()).collect()
    };
    let raw = figures_of(|round| &round.pgbench);
    report.with_throughput("append/commands", &figures_of(|round| &round.commands), &raw).with_throughput(
        "append/batches",
        &figures_of(|round| &round.batches),
        &raw,
    )
}

/// Returns the figures of the round with the median throughput.
fn median_round_figures(rounds: &[AppendRound], figures: fn(&AppendRound) -> &BenchFigures) -> BenchFigures {
    let mut sorted: Vec<&BenchFigures> = rounds.iter().map(figures).collect();
    sorted.sort_by(|one, other| one.events_per_s.total_cmp(&other.events_per_s));
    sorted
        .get(sorted.len() / 2)
        .map_or_else(|| BenchFigures::new(0, Duration::ZERO, Duration::ZERO, None), |figures| (*figures).clone())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
