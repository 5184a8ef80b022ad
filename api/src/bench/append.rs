//! Appending: single commands through `cqrs-es`, and batches, beside pgbench.
//!
//! All three take turns in rounds on one server and one database made for it, so that a machine that gets slower or
//! faster does so for all of them; a ratio is the median over the rounds.

mod database;
mod measure;
mod pgbench;
mod server_cpu;
mod workload;

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use domain::opportunity::InvalidValue;
use eventstore::error::LogError;

use self::{
    database::Database,
    measure::{Bench, Round},
    pgbench::Pgbench,
    workload::Workload,
};
use super::{Figures, Report};
use crate::config::Config;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Commands that wait at the same time, and clients of pgbench.
    pub in_flight: usize,
    /// How long each measurement takes in a round.
    pub round: Duration,
    /// How many rounds.
    pub rounds: usize,
    /// Events of a batch.
    pub batch: usize,
    /// Batches appended at the same time.
    pub batch_writers: usize,
    /// Which store handles single commands.
    pub store: Store,
}

/// A store of single commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The product's own.
    Medhub,
    /// The library's, on the same table.
    PostgresEs,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum AppendBenchError {
    /// Postgres did not do what it was asked.
    #[error("{doing}")]
    Database {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// The database of the benchmark has no tables.
    #[error("preparing the database of the benchmark")]
    Migrate(#[source] LogError),
    /// There is nothing to compare with.
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
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// pgbench failed.
    #[error("pgbench ended with {status}: {said}")]
    Pgbench {
        /// How.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// A value of the sample is not valid: a defect of this program.
    #[error("making the sample notice")]
    Notice(#[source] InvalidValue),
    /// The commands do not lead to one event each: a defect of this program.
    #[error("a command of the sample leads to {events} events instead of one")]
    Workload {
        /// How many.
        events: usize,
    },
    /// An event has no form in JSON: a defect of this program.
    #[error("writing a sample event")]
    Json(#[source] serde_json::Error),
    /// A command or a batch failed.
    #[error("{doing}")]
    Append {
        /// What.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is nothing to note waits in: a defect of this program.
    #[error("making a histogram")]
    Waits(#[source] hdrhistogram::CreationError),
    /// A measuring task broke off.
    #[error("measuring broke off")]
    BrokeOff(#[source] tokio::task::JoinError),
    /// Told to stop.
    #[error("interrupted; the database of the benchmark is removed")]
    Interrupted,
}

/// Measures, and says on `progress` how it goes. The database made for it is removed however this ends.
///
/// # Errors
/// [`AppendBenchError`] when the server or pgbench fails, or on Ctrl-C.
pub async fn run(
    config: &Config,
    options: &Options,
    progress: &(dyn Fn(String) + Sync),
) -> Result<Report, AppendBenchError> {
    // As many as the settings allow a process, and one for looking on.
    let database = Database::create(config, config.postgres.max_connections + 1).await?;
    let measured = tokio::select! {
        measured = measured(config, options, &database, progress) => measured,
        _signal = tokio::signal::ctrl_c() => Err(AppendBenchError::Interrupted),
    };
    let dropped = database.drop_it().await;
    measured.and_then(|report| dropped.map(|()| report))
}

async fn measured(
    config: &Config,
    options: &Options,
    database: &Database,
    progress: &(dyn Fn(String) + Sync),
) -> Result<Report, AppendBenchError> {
    let workload = Workload::new()?;
    let sample = workload.sample()?;
    let pgbench = Pgbench::prepare(config, &database.pool, &database.options, options.in_flight, &sample).await?;
    let bytes = usize::midpoint(sample.discovered.len(), sample.amended.len());
    let bench = Bench::new(config, options, database, workload, sample, pgbench).await;
    progress(format!("warming up; {} in flight, {bytes} bytes of payload", options.in_flight));
    bench.round(Duration::from_secs(1), 0).await?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = bench.round(options.round, number).await?;
        progress(format!(
            "round {number} of {}: commands {:.0}/s, batches {:.0}/s, pgbench {:.0}/s",
            options.rounds,
            round.single.figures.events_per_s,
            round.batch.figures.events_per_s,
            round.raw.figures.events_per_s
        ));
        rounds.push(round);
    }
    Ok(report(options, bytes, &rounds))
}

fn report(options: &Options, payload_bytes: usize, rounds: &[Round]) -> Report {
    let median_of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let single = middle(rounds, |round| &round.single.figures);
    let batch = middle(rounds, |round| &round.batch.figures);
    let raw = middle(rounds, |round| &round.raw.figures);
    let server_cpu = |figure: fn(&Round) -> Option<f64>| {
        let used: Option<Vec<f64>> = rounds.iter().map(figure).collect();
        used.map(median)
    };
    let mut report = Report::new("append", single, pgbench::DESCRIPTION, raw)
        .with("batch", serde_json::to_value(&batch).unwrap_or_default())
        .with("batch_ratio", median_of(|round| round.batch.figures.events_per_s / round.raw.figures.events_per_s))
        .with("raw_mean_ms", median_of(|round| round.raw_mean_ms))
        .with("postgres_cpu_us_per_event", server_cpu(|round| round.single.server_us_per_event))
        .with("batch_postgres_cpu_us_per_event", server_cpu(|round| round.batch.server_us_per_event))
        .with("raw_postgres_cpu_us_per_event", server_cpu(|round| round.raw.server_us_per_event))
        .with("store", if options.store == Store::Medhub { "medhub" } else { "postgres-es" })
        .with("in_flight", options.in_flight)
        .with("batch_events", options.batch)
        .with("batch_writers", options.batch_writers)
        .with("payload_bytes", payload_bytes)
        .with("rounds", options.rounds);
    report.ratio = median_of(|round| round.single.figures.events_per_s / round.raw.figures.events_per_s);
    report
}

/// The figures of the round with the median throughput.
fn middle(rounds: &[Round], figures: fn(&Round) -> &Figures) -> Figures {
    let mut sorted: Vec<&Figures> = rounds.iter().map(figures).collect();
    sorted.sort_by(|one, other| one.events_per_s.total_cmp(&other.events_per_s));
    sorted
        .get(sorted.len() / 2)
        .map_or_else(|| Figures::new(0, Duration::ZERO, Duration::ZERO, None), |figures| (*figures).clone())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
