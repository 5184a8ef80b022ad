//! A running service: puts the parts together, watches over them, and takes them down in order.
//!
//! ```text
//! wait for engines ──▶ start ──▶ serve ──signal or a failed part──▶ HTTP drains ──▶ relay ──▶ workers
//! ```

mod files;
mod part;
mod readiness;
mod registry;
mod role;
mod signal;
mod stuck;
mod wait;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use eventstore::{append::PgBatchStore, registry::RegistryError, relay::Relay};
use projections::runtime::{ControlError, RuntimeError, Supervisor};
use schemas::registry::Registry;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    part::{Parts, Stage},
    readiness::Watched,
};
pub use self::{readiness::Readiness, registry::run as run_registry, role::Role};
use crate::{
    config::Config,
    graphql::GraphQl,
    grpc,
    http::{
        self,
        connection::{self, ConnectionLimits},
        door::Door,
        limiter::Limiter,
    },
    identity::Authenticator,
    objects::ObjectSweeper,
    rest::{Ingest, Rest},
    store::{Engine, Finding, Stores},
};

/// How long a farewell to Postgres may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Engines that it needs did not come up.
    #[error("{} did not answer within {waited_s} s; `medhub doctor` says what to do", names(engines))]
    Engines {
        /// Which ones.
        engines: Vec<Engine>,
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
    Registry(#[source] RegistryError),
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
    EndedByItself {
        /// Which part.
        part: &'static str,
    },
    /// A part broke off in the middle of something: a defect of this program.
    #[error("{part} broke off")]
    BrokeOff {
        /// Which part.
        part: &'static str,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
    /// Not everything came to its end in time.
    #[error("{part} did not come to its end in time")]
    NotDrained {
        /// Which part.
        part: &'static str,
    },
}

fn names(engines: &[Engine]) -> String {
    engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ")
}

/// Runs `role` until SIGTERM or SIGINT, then lets everything under way come to its end. Where it runs projections, it
/// runs those named in `only`; all of them if none is named.
///
/// # Errors
/// [`ServeError`] when it cannot start, when a part can never work, or when the end takes too long.
pub async fn run(role: Role, only: &[String], stores: Stores, config: Config) -> Result<(), ServeError> {
    attend(start(role, only, &stores, &config), config.serve.shutdown_timeout(), &stores.pool).await
}

/// Starts, and stays until a signal or the end of a part; then lets everything under way come to its end.
async fn attend(
    starting: impl Future<Output = Result<Parts, ServeError>>,
    patience: Duration,
    pool: &PgPool,
) -> Result<(), ServeError> {
    let mut signals = signal::Signals::install().map_err(ServeError::Signals)?;
    let started = tokio::select! {
        started = starting => started?,
        () = signals.first() => return Ok(()),
    };
    let mut parts = started;
    let ended = tokio::select! {
        () = signals.first() => Ok(()),
        ended = parts.first_end() => ended,
    };
    let drained = tokio::select! {
        drained = parts.drain(patience) => drained,
        () = signals.first() => {
            tracing::warn!("told to stop again, stopping at once");
            Ok(())
        }
    };
    // A connection whose server process stands still is never given back.
    if tokio::time::timeout(FAREWELL, pool.close()).await.is_err() {
        tracing::warn!("Postgres did not answer the farewell");
    }
    // What went wrong first is what a person has to know.
    ended.and(drained)
}

async fn start(role: Role, only: &[String], stores: &Stores, config: &Config) -> Result<Parts, ServeError> {
    wait::for_engines(stores, role.engines(), config.serve.startup_timeout()).await?;
    if role.engines().contains(&Engine::Postgres) {
        wait::for_migration(stores, config.serve.startup_timeout()).await?;
    }
    if role.engines().contains(&Engine::Postgres) {
        stores.live.refresh(stores.runtime.control()).await.map_err(ServeError::Generations)?;
    }
    tell_findings(stores, role);
    // Before anything runs: an address that is taken is the likeliest thing to be wrong.
    let listener = listen("HTTP", config.http.listen).await?;
    let metrics = http::keep_metrics().map_err(ServeError::Metrics)?;
    let mut parts = Parts::default();
    let mut readiness = Readiness::new(stores.clone(), role, config.serve.stuck_after());
    if role.runs_relay() {
        let registry = Registry::new(&config.registry);
        let relay = Relay::new(stores.pool.clone(), config.kafka.clone(), registry, config.relay.clone());
        readiness.watch(Watched::Relay(relay.status()));
        parts.start(Stage::Relay, "the relay", |stop| async move {
            relay.run(stop).await;
            Ok(())
        });
    }
    if role.runs_workers() {
        start_projections(stores, only, &mut parts, &mut readiness);
    }
    let (live, control) = (stores.live.clone(), stores.runtime.control().clone());
    parts.start(Stage::Workers, "following the live generations", |stop| async move {
        live.follow(control, stop).await;
        Ok(())
    });
    if role.serves_graphql() {
        let feed = stores.feed.clone();
        parts.start(Stage::Workers, "the feed of events", |stop| async move {
            feed.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let rooms = Arc::clone(&stores.rooms);
        parts.start(Stage::Http, "the rooms of those who write together", |stop| async move {
            rooms.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let sweeper = ObjectSweeper::new(stores.objects.clone(), stores.pool.clone());
        parts.start(Stage::Workers, "removing files that no document has", |stop| async move {
            sweeper.run(stop).await;
            Ok(())
        });
    }
    let rebuilds = stores.rebuilds.clone();
    parts.start(Stage::Workers, "rebuilds asked for over the API", |stop| async move {
        rebuilds.keep(stop).await;
        Ok(())
    });
    let limiter = Limiter::new(&config.limits, &config.redis).map_err(|error| ServeError::Identity(Box::new(error)))?;
    let served = if role.serves_graphql() { Some(serving(stores, config, limiter.clone())?) } else { None };
    let connections = connection_limits(config);
    if let Some(served) = &served {
        let ingest = Arc::clone(&served.rest.ingest);
        parts.start(Stage::Relay, "ingest", |stop| async move {
            ingest.run(stop).await;
            Ok(())
        });
        let listener = listen("gRPC", config.grpc.listen).await?;
        let router = grpc::router(&config.grpc, stores, role.engines(), served.door.clone());
        let (router, health) = router.map_err(|error| ServeError::Identity(Box::new(error)))?;
        start_http("gRPC", listener, router, connections.clone(), &mut parts);
        parts.start(Stage::Http, "the health of gRPC", |stop| async move {
            health.run(stop).await;
            Ok(())
        });
    }
    let router = http::router(&config.http, served, Arc::new(readiness), Some(metrics), limiter);
    start_http("HTTP", listener, router, connections, &mut parts);
    Ok(parts)
}

/// Names what about the engines would do harm later. Beside the start: none of it keeps a service from it.
fn tell_findings(stores: &Stores, role: Role) {
    let stores = stores.clone();
    tokio::spawn(async move {
        for Finding { engine, text, .. } in stores.findings(role.engines()).await {
            tracing::warn!(engine = engine.name(), "{text}");
        }
    });
}

/// What those get who ask.
fn serving(stores: &Stores, config: &Config, limiter: Limiter) -> Result<http::Served, ServeError> {
    let authenticator = Authenticator::new(&config.auth, &config.admin, stores.store.of(), &config.redis);
    let authenticator = authenticator.map_err(|error| ServeError::Identity(Box::new(error)))?;
    if config.auth.development_login {
        tracing::warn!("the development login is on: whoever reaches this service can be anybody");
    }
    let graphql = GraphQl::with_identity(stores, &config.http, &authenticator);
    let rest = Rest {
        stores: stores.clone(),
        ingest: Arc::new(Ingest::new(&config.ingest, PgBatchStore::new(stores.pool.clone()))),
        objects: stores.objects.clone(),
    };
    Ok(http::Served { graphql, door: Door::new(authenticator, limiter), rest })
}

fn start_http(
    name: &'static str,
    listener: TcpListener,
    router: axum::Router,
    limits: ConnectionLimits,
    parts: &mut Parts,
) {
    parts.start(Stage::Http, name, |stop: CancellationToken| async move {
        connection::serve(listener, router, limits, stop).await;
        Ok(())
    });
}

/// How long connections may keep their places, and how many there may be: no more than there are file descriptors for.
fn connection_limits(config: &Config) -> ConnectionLimits {
    let mut limits = ConnectionLimits::new(&config.http, config.limits.trust_forwarded);
    match files::raise_limit() {
        Ok(files) => limits.keep_below(files),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "asking how many files may be open"),
    }
    limits
}

/// Starts the workers of the named projections, of all where none is named.
fn start_projections(stores: &Stores, only: &[String], parts: &mut Parts, readiness: &mut Readiness) {
    let mut projections = stores.live.now().all();
    projections.retain(|projection| only.is_empty() || only.iter().any(|name| name == projection.name()));
    let names = projections.iter().map(|projection| projection.name()).collect();
    let supervisor = Supervisor::new((*stores.runtime).clone(), projections);
    readiness.watch(Watched::Workers { names, statuses: supervisor.statuses() });
    parts.start(Stage::Workers, "the projections", |stop| async move {
        supervisor.run(stop).await.map_err(ServeError::Worker)
    });
}

async fn listen(edge: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(edge, %address, "listening");
    Ok(listener)
}
