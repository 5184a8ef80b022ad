//! A running service: puts the parts together, watches over them, and takes them down in order.
//!
//! ```text
//! wait for engines ──▶ start ──▶ serve ──signal or a failed part──▶ HTTP and ingest drain ──▶ relay ──▶ workers
//! ```

mod file_limit;
mod part_supervisor;
mod process_role;
mod registry_service;
mod startup_wait;
mod termination_signals;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use api::{
    app_context::{AppContext, BackingService, ServiceFinding},
    auth::Authenticator,
    graphql::GraphQl,
    grpc,
    http::{
        connection::{self, ConnectionLimits},
        rate_limiter::RateLimiter,
        request_gate::RequestGate,
    },
    object_store::ObjectSweeper,
    readiness::{MonitoredPart, ReadinessProbe},
    rest::{IngestService, RestState},
    routes,
};
use eventstore::{append::PgBatchStore, registry::SchemaStoreError, relay::Relay};
use projections::runtime::{ControlError, RuntimeError, Supervisor};
use schemas::registry_client::SchemaRegistryClient;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::part_supervisor::{PartSupervisor, ShutdownStage};
pub use self::{process_role::ProcessRole, registry_service::run as run_registry};
use crate::config::MedhubConfig;

/// How long a farewell to Postgres may take.
const POOL_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Engines that it needs did not come up.
    #[error("{} did not answer within {waited_s} s; `medhub doctor` says what to do", names(engines))]
    ServicesUnavailable {
        /// Which ones.
        engines: Vec<BackingService>,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// The database has no tables of ours.
    #[error("the database is not prepared; run `medhub migrate`")]
    NotMigrated,
    /// Postgres did not say whether it is prepared.
    #[error("asking Postgres whether it is prepared")]
    Schema(#[source] sqlx::Error),
    /// The schema registry has no tables and cannot make them.
    #[error("preparing the schema registry")]
    Registry(#[source] SchemaStoreError),
    /// Postgres did not say which generations are live.
    #[error("asking Postgres which generations of the read models are live")]
    Generations(#[source] ControlError),
    /// Who asks cannot be found out with these settings.
    #[error("setting up who may come in")]
    Identity(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is taken or not ours.
    #[error("listening on {address}; http.listen and grpc.listen name other addresses")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The signals that end a service cannot be received.
    #[error("waiting for signals")]
    Signals(#[source] std::io::Error),
    /// What the process measures of itself cannot be kept.
    #[error("keeping metrics")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// A worker can never work.
    #[error("running a projection worker")]
    Worker(#[source] RuntimeError),
    /// A part ended although nobody told it to.
    #[error("{part} ended by itself")]
    UnexpectedExit {
        /// Which part.
        part: &'static str,
    },
    /// A part broke off in the middle of something: a defect of this program.
    #[error("{part} broke off")]
    PartPanicked {
        /// Which part.
        part: &'static str,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
    /// Not everything came to its end in time.
    #[error("{part} did not come to its end in time")]
    DrainTimeout {
        /// Which part.
        part: &'static str,
    },
    /// The time to stop was over before all that was acknowledged had been written.
    #[error("{events} acknowledged events are not known to be on record; ingest.drain_timeout_ms is the time for them")]
    EventsLost {
        /// How many.
        events: usize,
    },
}

fn names(engines: &[BackingService]) -> String {
    engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ")
}

/// Runs `role` until SIGTERM or SIGINT, then lets everything under way come to its end. Where it runs projections, it
/// runs those named in `only`; all of them if none is named.
///
/// # Errors
/// [`ServeError`] when it cannot start, when a part can never work, or when the end takes too long.
pub async fn run(
    role: ProcessRole,
    only: &[String],
    stores: AppContext,
    config: MedhubConfig,
) -> Result<(), ServeError> {
    run_until_signal(start_parts(role, only, &stores, &config), config.serve.shutdown_timeout(), &stores.pool).await
}

/// Starts, and stays until a signal or the end of a part; then lets everything under way come to its end.
async fn run_until_signal(
    starting: impl Future<Output = Result<PartSupervisor, ServeError>>,
    patience: Duration,
    pool: &PgPool,
) -> Result<(), ServeError> {
    let mut signals = termination_signals::TerminationSignals::install().map_err(ServeError::Signals)?;
    let started = tokio::select! {
        started = starting => started?,
        () = signals.recv_signal() => return Ok(()),
    };
    let mut parts = started;
    let ended = tokio::select! {
        () = signals.recv_signal() => Ok(()),
        ended = parts.wait_for_unexpected_exit() => ended,
    };
    let drained = tokio::select! {
        drained = parts.drain_stages(patience) => drained,
        () = signals.recv_signal() => {
            tracing::warn!("told to stop again, stopping at once");
            Ok(())
        }
    };
    // A connection whose server process stands still is never given back.
    if tokio::time::timeout(POOL_CLOSE_TIMEOUT, pool.close()).await.is_err() {
        tracing::warn!("Postgres did not answer the farewell");
    }
    // After the last chance to write it, also where a second signal cut everything short.
    let kept = parts.check_losses();
    // What went wrong first is what a person has to know.
    ended.and(drained).and(kept)
}

async fn start_parts(
    role: ProcessRole,
    only: &[String],
    stores: &AppContext,
    config: &MedhubConfig,
) -> Result<PartSupervisor, ServeError> {
    startup_wait::wait_for_services(stores, role.required_services(), config.serve.startup_timeout()).await?;
    if role.required_services().contains(&BackingService::Postgres) {
        startup_wait::wait_for_migration(stores, config.serve.startup_timeout()).await?;
    }
    if role.required_services().contains(&BackingService::Postgres) {
        stores.read_models.refresh_pointer(stores.runtime.control()).await.map_err(ServeError::Generations)?;
    }
    log_findings(stores, role);
    // Before anything runs: an address that is taken is the likeliest thing to be wrong.
    let listener = bind_listener("HTTP", config.http.listen).await?;
    let metrics = routes::install_recorder().map_err(ServeError::Metrics)?;
    let mut parts = PartSupervisor::default();
    let mut readiness = ReadinessProbe::new(stores.clone(), role.required_services(), config.serve.stuck_after());
    if role.runs_relay() {
        let registry = SchemaRegistryClient::new(&config.registry);
        let relay = Relay::new(stores.pool.clone(), config.kafka.clone(), registry, config.relay.clone());
        readiness.monitor_part(MonitoredPart::Relay(relay.status()));
        parts.spawn_part(ShutdownStage::Relay, "the relay", |stop| async move {
            relay.run(stop).await;
            Ok(())
        });
    }
    if role.runs_workers() {
        start_workers(stores, only, &mut parts, &mut readiness);
    }
    let (live, control) = (stores.read_models.clone(), stores.runtime.control().clone());
    parts.spawn_part(ShutdownStage::Workers, "following the live generations", |stop| async move {
        live.follow_pointer(control, stop).await;
        Ok(())
    });
    if role.serves_graphql() {
        let feed = stores.event_feed.clone();
        parts.spawn_part(ShutdownStage::Workers, "the feed of events", |stop| async move {
            feed.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let rooms = Arc::clone(&stores.rooms);
        parts.spawn_part(ShutdownStage::Http, "the rooms of those who write together", |stop| async move {
            rooms.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let sweeper = ObjectSweeper::new(stores.objects.clone(), stores.pool.clone());
        parts.spawn_part(ShutdownStage::Workers, "removing files that no document has", |stop| async move {
            sweeper.run(stop).await;
            Ok(())
        });
    }
    let rebuilds = stores.rebuilds.clone();
    parts.spawn_part(ShutdownStage::Workers, "rebuilds asked for over the API", |stop| async move {
        rebuilds.run_until_stopped(stop).await;
        Ok(())
    });
    let limiter =
        RateLimiter::new(&config.limits, &config.redis).map_err(|error| ServeError::Identity(Box::new(error)))?;
    let served = if role.serves_graphql() { Some(build_edges(stores, config, limiter.clone())?) } else { None };
    let connections = connection_limits(config);
    if let Some(served) = &served {
        start_ingest(&served.rest.ingest, config.ingest.drain_timeout(), &mut parts);
        let listener = bind_listener("gRPC", config.grpc.listen).await?;
        let router = grpc::router(&config.grpc, stores, role.required_services(), served.gate.clone());
        let (router, health) = router.map_err(|error| ServeError::Identity(Box::new(error)))?;
        start_http_server("gRPC", listener, router, connections.clone(), &mut parts);
        parts.spawn_part(ShutdownStage::Http, "the health of gRPC", |stop| async move {
            health.run(stop).await;
            Ok(())
        });
    }
    let router = routes::router(&config.http, served, Arc::new(readiness), Some(metrics), limiter);
    start_http_server("HTTP", listener, router, connections, &mut parts);
    Ok(parts)
}

/// Names what about the engines would do harm later. Beside the start: none of it keeps a service from it.
fn log_findings(stores: &AppContext, role: ProcessRole) {
    let stores = stores.clone();
    tokio::spawn(async move {
        for ServiceFinding { engine, text, .. } in stores.collect_findings(role.required_services()).await {
            tracing::warn!(engine = engine.name(), "{text}");
        }
    });
}

/// What those get who ask.
fn build_edges(
    stores: &AppContext,
    config: &MedhubConfig,
    limiter: RateLimiter,
) -> Result<routes::ApiServices, ServeError> {
    let authenticator = Authenticator::new(&config.auth, &config.admin, stores.event_store.store_for(), &config.redis);
    let authenticator = authenticator.map_err(|error| ServeError::Identity(Box::new(error)))?;
    if config.auth.development_login {
        tracing::warn!("the development login is on: whoever reaches this service can be anybody");
    }
    let graphql = GraphQl::with_identity(stores, &config.http, &authenticator);
    let rest = RestState {
        stores: stores.clone(),
        ingest: Arc::new(IngestService::new(&config.ingest, PgBatchStore::new(stores.pool.clone()))),
        objects: stores.objects.clone(),
    };
    Ok(routes::ApiServices { graphql, gate: RequestGate::new(authenticator, limiter), rest })
}

/// Writes what comes to `/ingest`. Told to stop together with HTTP, so that a slow client takes no time from what others
/// were promised.
fn start_ingest(ingest: &Arc<IngestService>, drain_timeout: Duration, parts: &mut PartSupervisor) {
    let (ingest, acknowledged) = (Arc::clone(ingest), Arc::clone(ingest));
    parts.add_loss_check(move || match acknowledged.unrecorded_events() {
        0 => Ok(()),
        events => Err(ServeError::EventsLost { events }),
    });
    parts.spawn_part_with_timeout(ShutdownStage::Http, "ingest", drain_timeout, |stop| async move {
        ingest.run(stop).await;
        Ok(())
    });
}

fn start_http_server(
    name: &'static str,
    listener: TcpListener,
    router: axum::Router,
    limits: ConnectionLimits,
    parts: &mut PartSupervisor,
) {
    parts.spawn_part(ShutdownStage::Http, name, |stop: CancellationToken| async move {
        connection::serve(listener, router, limits, stop).await;
        Ok(())
    });
}

/// How long connections may keep their places, and how many there may be: no more than there are file descriptors for.
fn connection_limits(config: &MedhubConfig) -> ConnectionLimits {
    let mut limits = ConnectionLimits::new(&config.http, config.limits.trust_forwarded);
    match file_limit::raise_file_limit() {
        Ok(files) => limits.cap_by_open_files(files),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "asking how many files may be open"),
    }
    limits
}

/// Starts the workers of the named projections, of all where none is named.
fn start_workers(stores: &AppContext, only: &[String], parts: &mut PartSupervisor, readiness: &mut ReadinessProbe) {
    let mut projections = stores.read_models.current().all_projections();
    projections.retain(|projection| only.is_empty() || only.iter().any(|name| name == projection.name()));
    let names = projections.iter().map(|projection| projection.name()).collect();
    let supervisor = Supervisor::new((*stores.runtime).clone(), projections);
    readiness.monitor_part(MonitoredPart::Workers { names, statuses: supervisor.statuses() });
    parts.spawn_part(ShutdownStage::Workers, "the projections", |stop| async move {
        supervisor.run(stop).await.map_err(ServeError::Worker)
    });
}

async fn bind_listener(edge: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(edge, %address, "listening");
    Ok(listener)
}
