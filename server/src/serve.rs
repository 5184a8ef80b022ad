//! Runs a service: starts its parts, supervises them, and stops them in order.
//!
//! ```text
//! wait for engines ──▶ start ──▶ serve ──signal──▶ not ready ──stop delay──▶ HTTP and ingest drain ──▶ relay ──▶ workers
//!                                  └──a failed part──────────────────────────────────▲
//! ```

mod generation_work;
mod http_server;
mod metric_export_part;
pub mod notice_sync;
mod part_supervisor;
mod process_role;
mod recorded_edits;
mod registry_service;
mod resource_gauges;
mod resource_reader;
mod service_start;
mod startup_wait;
mod task_worker_part;
mod termination_signals;

use std::{future::Future, net::SocketAddr, time::Duration};

use api::app_context::{AppContext, BackingService, UnusableCluster, UnusablePooler};
use eventstore::registry::SchemaStoreError;
use projections::runtime::{ControlError, RuntimeError};
use sqlx::PgPool;

use self::part_supervisor::PartSupervisor;
pub use self::{process_role::ProcessRole, registry_service::run as run_registry, task_worker_part::TaskWorkError};
use crate::config::{MedhubConfig, ServeConfig};

/// How long closing the Postgres pool may take.
const POOL_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a service cannot start, or ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Engines that the role requires did not answer within the startup timeout.
    #[error(
        "{} did not answer within {waited_s} s{}; `medhub doctor` says what to do",
        join_names(engines),
        known.iter().fold(String::new(), |text, problem| text + "; " + problem)
    )]
    ServicesUnavailable {
        /// The unavailable engines.
        engines: Vec<BackingService>,
        /// Reason and remedy of each failure that waiting does not repair.
        known: Vec<String>,
        /// The startup timeout, in seconds.
        waited_s: u64,
    },
    /// The program does not work behind the pooler between it and a database.
    #[error("connecting to Postgres")]
    Pooler(#[source] UnusablePooler),
    /// The tables of the read model cannot be on the cluster that the settings name.
    #[error("preparing for the cluster of ClickHouse")]
    Cluster(#[source] UnusableCluster),
    /// The certificate of the listeners cannot be used.
    #[error("reading the certificate of the listeners")]
    Certificate(#[source] engine_security::TlsFileError),
    /// The migrations have not been applied to the database.
    #[error("the database is not prepared; run `medhub migrate`")]
    NotMigrated,
    /// It cannot be determined whether the migrations have been applied.
    #[error("reading the table of migrations in Postgres")]
    Schema(#[source] sqlx::Error),
    /// The tables of the schema registry cannot be created.
    #[error("preparing the schema registry")]
    Registry(#[source] SchemaStoreError),
    /// A file of `registry.tls` cannot be used.
    #[error("setting up the relay's client of the schema registry")]
    RelayRegistry(#[source] schemas::registry_client::RegistryClientSetupError),
    /// The generation pointer cannot be loaded.
    #[error("loading the active generations of the read models from Postgres")]
    Generations(#[source] ControlError),
    /// The settings of authentication, rate limits or the edges are invalid.
    #[error("setting up authentication, rate limits and edges")]
    Edges(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is in use, or is no address of this machine.
    #[error("listening on {address}; set http.listen or grpc.listen to another address")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The settings of mail are invalid.
    #[error("setting up mail")]
    Mail(#[source] mail::MailSetupError),
    /// The schedule of a job is invalid: a defect of this program.
    #[error("setting up the scheduled jobs")]
    Jobs(#[source] scheduled_jobs::JobScheduleError),
    /// The handlers of the termination signals cannot be installed.
    #[error("installing signal handlers")]
    Signals(#[source] std::io::Error),
    /// The recorder of the process's metrics cannot be installed.
    #[error("installing the metrics recorder")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The settings of the export of metrics are invalid.
    #[error("setting up the export of metrics")]
    MetricExport(#[source] telemetry::TelemetryError),
    /// The work on tasks cannot be started.
    #[error("setting up the work on tasks")]
    TaskWork(#[source] TaskWorkError),
    /// A worker failed with an error that no retry resolves.
    #[error("running a projection worker")]
    Worker(#[source] RuntimeError),
    /// A part ended before the shutdown.
    #[error("{part} ended unexpectedly")]
    UnexpectedExit {
        /// Name of the part.
        part: &'static str,
    },
    /// A part panicked: a defect of this program.
    #[error("{part} panicked")]
    PartPanicked {
        /// Name of the part.
        part: &'static str,
        /// The panic.
        #[source]
        source: tokio::task::JoinError,
    },
    /// A part did not stop within the shutdown timeout.
    #[error("{part} did not stop in time")]
    DrainTimeout {
        /// Name of the part.
        part: &'static str,
    },
    /// The ingest drain timeout ended before all acknowledged events were recorded.
    #[error("{events} acknowledged events may not be recorded; ingest.drain_timeout_ms limits the time to record them")]
    EventsLost {
        /// Number of events.
        events: usize,
    },
}

fn join_names(engines: &[BackingService]) -> String {
    engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ")
}

/// Runs `role` until SIGTERM or SIGINT, then completes the work in progress. A role that runs projections runs those
/// named in `only`, or all of them if `only` is empty.
///
/// # Errors
/// [`ServeError`] when the service cannot start, when a part fails, or when the shutdown exceeds its timeout.
pub async fn run(role: ProcessRole, only: &[String], app: AppContext, config: MedhubConfig) -> Result<(), ServeError> {
    let start = Box::pin(service_start::start_parts(role, only, &app, &config));
    run_until_signal(start, &config.serve, &app.pool).await
}

/// Awaits `start`, runs until a signal or the end of a part, then completes the work in progress. After a signal the
/// process is not ready for the stop delay, but goes on; a part that ends meanwhile ends the delay.
async fn run_until_signal(
    start: impl Future<Output = Result<PartSupervisor, ServeError>>,
    config: &ServeConfig,
    pool: &PgPool,
) -> Result<(), ServeError> {
    let mut signals = termination_signals::TerminationSignals::install().map_err(ServeError::Signals)?;
    let mut parts = tokio::select! {
        started = start => started?,
        () = signals.recv_signal() => return Ok(()),
    };
    let run_outcome = tokio::select! {
        () = signals.recv_signal() => Ok(()),
        exit = parts.wait_for_unexpected_exit() => exit,
    };
    parts.announce_stop();
    let stop_delay = if run_outcome.is_ok() { config.stop_delay() } else { Duration::ZERO };
    let drain = async {
        let waited = parts.wait_for_stop_delay(stop_delay).await;
        waited.and(parts.drain_stages(config.shutdown_timeout()).await)
    };
    let drain_outcome = tokio::select! {
        drained = drain => drained,
        () = signals.recv_signal() => {
            tracing::warn!("received a second signal, stopping immediately");
            Ok(())
        }
    };
    // A connection whose server process hangs is never returned to the pool.
    if tokio::time::timeout(POOL_CLOSE_TIMEOUT, pool.close()).await.is_err() {
        tracing::warn!("closing the Postgres pool timed out");
    }
    // Checked last, because the parts record events until here; also after a second signal.
    let losses = parts.check_losses();
    // The first failure is the most informative one.
    run_outcome.and(drain_outcome).and(losses)
}
