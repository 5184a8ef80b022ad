//! The role `registry`: the schema registry as a service, which needs Postgres only.

use api::{
    app_context::{BackingService, refuse_unusable_pooler},
    http::rate_limiter::RateLimiter,
    routes,
};
use eventstore::registry::SchemaStore;
use sqlx::PgPool;

use super::{
    ServeError,
    http_server::{bind_listener, connection_limits, open_certificate, start_http_server},
    metric_export_part,
    part_supervisor::{PartSupervisor, ShutdownStage},
    resource_gauges::ResourceGauges,
    run_until_signal, startup_wait,
};
use crate::{
    config::MedhubConfig,
    schema_registry::{self, RegistryAccess},
};

/// Serves the schema registry until SIGTERM or SIGINT. Does not wait for `medhub migrate`, which waits for the
/// registry.
///
/// # Errors
/// [`ServeError`] when it cannot start, when the HTTP server ends, or when the shutdown exceeds its timeout.
pub async fn run(pool: PgPool, config: &MedhubConfig) -> Result<(), ServeError> {
    run_until_signal(start_registry(&pool, config), &config.serve, &pool).await
}

async fn start_registry(pool: &PgPool, config: &MedhubConfig) -> Result<PartSupervisor, ServeError> {
    startup_wait::wait_for_postgres(pool, config.serve.startup_timeout()).await?;
    refuse_unusable_pooler(BackingService::POSTGRES, pool).await.map_err(ServeError::Pooler)?;
    let store = SchemaStore::new(pool.clone());
    store.create_tables().await.map_err(ServeError::Registry)?;
    let certificate = open_certificate(config)?;
    let listener = bind_listener("HTTP", config.http.listen).await?;
    let metrics = routes::install_recorder().map_err(ServeError::Metrics)?;
    let mut parts = PartSupervisor::default();
    metric_export_part::start(&config.telemetry, &metrics, &mut parts)?;
    let gauges = ResourceGauges::new(pool);
    parts.spawn_part(ShutdownStage::Workers, "the gauges of resources", |stop| async move {
        gauges.run(stop).await;
        Ok(())
    });
    let access = RegistryAccess::new(&config.engines.registry, &config.admin, RateLimiter::local_only(&config.limits));
    access.warn_if_read_only();
    let metrics = routes::metrics_route(metrics);
    let router = schema_registry::router(&config.http, store, access, metrics, parts.stop_announcement());
    start_http_server("HTTP", listener, certificate, router, connection_limits(config), &mut parts);
    Ok(parts)
}
