//! Starts the parts of a service in the order of their dependencies.

use std::{sync::Arc, time::Duration};

use api::{
    app_context::{AppContext, BackingService, ServiceFinding},
    auth::Authenticator,
    graphql::GraphQl,
    grpc,
    http::{load_shedder::LoadShedder, rate_limiter::RateLimiter, request_gate::RequestGate},
    readiness::{MonitoredPart, ReadinessProbe},
    rest::{IngestService, RestState},
    routes,
};
use eventstore::{append::PgBatchStore, relay::Relay};
use mail::Mailer;
use objects::ObjectSweeper;
use processes::{ProcessRunner, ProcessRunnerConfig};
use projections::runtime::Supervisor;
use schemas::{catalog, registry_client::SchemaRegistryClient};

use super::{
    ProcessRole, ServeError,
    http_server::{bind_listener, connection_limits, open_certificate, start_http_server},
    metric_export_part,
    notice_sync::NoticeSync,
    part_supervisor::{PartSupervisor, ShutdownStage},
    resource_gauges::ResourceGauges,
    startup_wait, task_worker_part,
};
use crate::{config::MedhubConfig, jobs};

/// Time to record the outcome of a mail after its delivery.
const MAIL_RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the parts of `role`, once the engines that it requires answer.
pub(super) async fn start_parts(
    role: ProcessRole,
    only: &[String],
    app: &AppContext,
    config: &MedhubConfig,
) -> Result<PartSupervisor, ServeError> {
    let required = role.required_services(&config.work);
    startup_wait::wait_for_services(app, required, config.serve.startup_timeout()).await?;
    app.refuse_unusable_poolers(required).await.map_err(ServeError::Pooler)?;
    if required.contains(&BackingService::POSTGRES) {
        startup_wait::wait_for_migration(app, config.serve.startup_timeout()).await?;
        app.read_models.refresh_pointer(app.runtime.control()).await.map_err(ServeError::Generations)?;
    }
    // The active generation may be on a cluster that the settings do not name.
    app.refuse_unusable_cluster(required).await.map_err(ServeError::Cluster)?;
    log_findings(app, required);
    // Before any part is started: an address in use is the most likely failure.
    let certificate = open_certificate(config)?;
    let listener = bind_listener("HTTP", config.http.listen).await?;
    let metrics = routes::install_recorder().map_err(ServeError::Metrics)?;
    let mut parts = PartSupervisor::default();
    metric_export_part::start(&config.telemetry, &metrics, &mut parts)?;
    start_gauges(role, app, &mut parts);
    let mut readiness = ReadinessProbe::new(app.clone(), required, config.serve.stuck_after());
    readiness.follow_stop(parts.stop_announcement());
    start_feature_flags(app, &mut parts).await;
    if role.runs_relay() {
        let registry = SchemaRegistryClient::new(&config.engines.registry).map_err(ServeError::RelayRegistry)?;
        let (kafka, relay) = (config.engines.kafka.clone(), config.engines.relay.clone());
        let relay = Relay::new(app.pool.clone(), kafka, registry, catalog::all_schemas(), relay);
        readiness.monitor_part(MonitoredPart::Relay(relay.status()));
        parts.spawn_part(ShutdownStage::Relay, "the relay", |stop| async move {
            relay.run(stop).await;
            Ok(())
        });
    }
    start_workers(role, app, only, &mut parts, &mut readiness);
    let task_queue = app.task_queue.clone();
    parts.spawn_part(ShutdownStage::Edges, "the task queue", |stop| async move {
        task_queue.run(stop).await;
        Ok(())
    });
    if role.runs_processes() {
        start_process_runner(app, config.serve.stuck_after(), &mut parts, &mut readiness);
        start_mailer(app, config, &mut parts)?;
        start_job_runner(app, config, &mut parts)?;
        start_notice_sync(app, config, &mut parts);
    }
    if role.works_on_tasks() {
        task_worker_part::start(app, config, &mut parts).map_err(ServeError::TaskWork)?;
    }
    let (read_models, control) = (app.read_models.clone(), app.runtime.control().clone());
    parts.spawn_part(ShutdownStage::Workers, "the follower of the generation pointer", |stop| async move {
        read_models.follow_pointer(control, stop).await;
        Ok(())
    });
    if role.serves_graphql() {
        let feed = app.event_feed.clone();
        parts.spawn_part(ShutdownStage::Workers, "the event feed", |stop| async move {
            feed.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let rooms = Arc::clone(&app.rooms);
        parts.spawn_part(ShutdownStage::Edges, "the room manager", |stop| async move {
            rooms.run(stop).await;
            Ok(())
        });
    }
    if role.serves_graphql() {
        let sweeper = ObjectSweeper::new(app.objects.clone(), app.pool.clone());
        parts.spawn_part(ShutdownStage::Workers, "the object sweeper", |stop| async move {
            sweeper.run(stop).await;
            Ok(())
        });
    }
    let rebuilds = app.rebuilds.clone();
    parts.spawn_part(ShutdownStage::Workers, "the rebuilds requested over the API", |stop| async move {
        rebuilds.run_until_stopped(stop).await;
        Ok(())
    });
    let limiter =
        RateLimiter::new(&config.limits, &config.engines.redis).map_err(|error| ServeError::Edges(Box::new(error)))?;
    let services =
        if role.serves_graphql() { Some(build_edges(app, config, limiter.clone(), &mut readiness)?) } else { None };
    let connections = connection_limits(config);
    if let Some(services) = &services {
        start_ingest(&services.rest.ingest, config.ingest.drain_timeout(), &mut parts);
        let listener = bind_listener("gRPC", config.grpc.listen).await?;
        let router = grpc::router(&config.grpc, app, required, services.gate.clone());
        let (router, health) = router.map_err(|error| ServeError::Edges(Box::new(error)))?;
        start_http_server("gRPC", listener, certificate.clone(), router, connections.clone(), &mut parts);
        let announcement = parts.stop_announcement();
        parts.spawn_part(ShutdownStage::Edges, "the gRPC health service", |stop| async move {
            health.run(announcement).await;
            // A part that ends during the stop delay has failed.
            stop.cancelled().await;
            Ok(())
        });
    }
    let router = routes::router(&config.http, services, Arc::new(readiness), Some(metrics), limiter);
    start_http_server("HTTP", listener, certificate, router, connections, &mut parts);
    Ok(parts)
}

/// Starts the part that measures the resources of the process, and in one role the queue of tasks.
fn start_gauges(role: ProcessRole, app: &AppContext, parts: &mut PartSupervisor) {
    let gauges = ResourceGauges::new(&app.pool);
    let gauges = if role.runs_processes() { gauges.with_task_queue(app) } else { gauges };
    parts.spawn_part(ShutdownStage::Workers, "the gauges of resources", |stop| async move {
        gauges.run(stop).await;
        Ok(())
    });
}

/// Reads the feature flags, so that the first requests and tasks are assigned as all others, and starts the part that
/// follows them.
async fn start_feature_flags(app: &AppContext, parts: &mut PartSupervisor) {
    let flags = app.flags.clone();
    if let Err(error) = flags.refresh().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "feature flags unavailable, using the controls");
    }
    parts.spawn_part(ShutdownStage::Workers, "the feature flags", |stop| async move {
        flags.run(stop).await;
        Ok(())
    });
}

/// Logs misconfigurations of the engines, in its own task: none of them prevents the start.
fn log_findings(app: &AppContext, required: &'static [BackingService]) {
    let app = app.clone();
    tokio::spawn(async move {
        for ServiceFinding { engine, text, .. } in app.collect_findings(required).await {
            tracing::warn!(engine = engine.name(), "{text}");
        }
    });
}

fn build_edges(
    app: &AppContext,
    config: &MedhubConfig,
    limiter: RateLimiter,
    readiness: &mut ReadinessProbe,
) -> Result<routes::ApiServices, ServeError> {
    let authenticator =
        Authenticator::new(&config.auth, &config.admin, app.event_store.store_for(), &config.engines.redis);
    let authenticator = authenticator.map_err(|error| ServeError::Edges(Box::new(error)))?;
    if config.auth.development_login {
        tracing::warn!("development login is enabled: every client of this service can log in as any user");
    }
    let graphql = GraphQl::with_identity(app, &config.http, &authenticator);
    let load_shedder = LoadShedder::new(&config.http);
    readiness.monitor_load(load_shedder.clone());
    let gate = RequestGate::new(authenticator, limiter, load_shedder);
    let rest = RestState {
        gate: gate.clone(),
        app: app.clone(),
        ingest: Arc::new(IngestService::new(&config.ingest, PgBatchStore::new(app.pool.clone()))),
        objects: app.objects.clone(),
    };
    let unsubscribe_tokens = config.mail.token_signer();
    Ok(routes::ApiServices { graphql, gate, rest, unsubscribe_tokens })
}

/// Starts the part that records events of `/ingest`. It stops together with HTTP rather than after it, so that a slow
/// HTTP client does not shorten the time to record acknowledged events.
fn start_ingest(ingest: &Arc<IngestService>, drain_timeout: Duration, parts: &mut PartSupervisor) {
    let (ingest, checked_ingest) = (Arc::clone(ingest), Arc::clone(ingest));
    parts.add_loss_check(move || match checked_ingest.unrecorded_events() {
        0 => Ok(()),
        events => Err(ServeError::EventsLost { events }),
    });
    parts.spawn_part_with_timeout(ShutdownStage::Edges, "ingest", drain_timeout, |stop| async move {
        ingest.run(stop).await;
        Ok(())
    });
}

/// Starts the workers of the role's projections and processes: those named in `only`, or all of them if `only` is empty.
fn start_workers(
    role: ProcessRole,
    app: &AppContext,
    only: &[String],
    parts: &mut PartSupervisor,
    readiness: &mut ReadinessProbe,
) {
    let mut projections = vec![];
    if role.runs_workers() {
        projections.extend(app.read_models.current().all_projections());
        projections.push(app.matching_projection());
    }
    if role.runs_processes() {
        projections.extend(app.process_projections());
    }
    projections.retain(|projection| only.is_empty() || only.iter().any(|name| name == projection.name()));
    if projections.is_empty() {
        return;
    }
    let names = projections.iter().map(|projection| projection.name()).collect();
    let supervisor = Supervisor::new((*app.runtime).clone(), projections);
    readiness.monitor_part(MonitoredPart::Workers { names, statuses: supervisor.statuses() });
    parts.spawn_part(ShutdownStage::Workers, "the projections", |stop| async move {
        supervisor.run(stop).await.map_err(ServeError::Worker)
    });
}

/// Starts the part that sends the commands of processes and fires their timers.
fn start_process_runner(
    app: &AppContext,
    stuck_after: Duration,
    parts: &mut PartSupervisor,
    readiness: &mut ReadinessProbe,
) {
    let runner = ProcessRunner::new(
        app.process_instances.clone(),
        Arc::clone(&app.dispatcher),
        processes::all_processes(),
        ProcessRunnerConfig::default(),
    );
    readiness.monitor_part(MonitoredPart::ProcessRunner { status: runner.status(), stuck_after });
    parts.spawn_part(ShutdownStage::Workers, "the process runner", |stop| async move {
        runner.run(stop).await;
        Ok(())
    });
}

/// Starts the part that sends mails, if the settings name a transport.
fn start_mailer(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) -> Result<(), ServeError> {
    let Some(services) = config.mail.open().map_err(ServeError::Mail)? else { return Ok(()) };
    let mail::MailServices { renderer, transport, mailer, delivery_timeout } = services;
    let mailer = Mailer::new(app.mail_queue.clone(), Arc::clone(&app.dispatcher), renderer, transport, mailer);
    // A mail whose delivery is cut off is not sent again.
    let drain_timeout = delivery_timeout.saturating_add(MAIL_RECORD_TIMEOUT);
    parts.spawn_part_with_timeout(ShutdownStage::Workers, "the mailer", drain_timeout, |stop| async move {
        mailer.run(stop).await;
        Ok(())
    });
    Ok(())
}

/// Starts the part that runs scheduled jobs.
fn start_job_runner(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) -> Result<(), ServeError> {
    let runner = jobs::create_job_runner(app, config).map_err(ServeError::Jobs)?;
    parts.spawn_part(ShutdownStage::Edges, "the job runner", |stop| async move {
        runner.run(stop).await;
        Ok(())
    });
    Ok(())
}

/// Starts the part that synchronises with SAM.gov, if the settings name a source.
fn start_notice_sync(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) {
    let sync = NoticeSync::new(&config.sam_gov, &app.pool);
    if !sync.is_scheduled() {
        return;
    }
    parts.spawn_part(ShutdownStage::Edges, "the synchronisation with SAM.gov", |stop| async move {
        sync.run_schedule(stop).await;
        Ok(())
    });
}
