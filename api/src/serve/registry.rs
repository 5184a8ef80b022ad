//! The schema registry as a service: Postgres, and nothing else that the other roles need.

use eventstore::registry::SchemaStore;
use sqlx::PgPool;

use super::{ServeError, attend, connection_limits, listen, part::Parts, start_http, wait};
use crate::{
    config::Config,
    http::limiter::Limiter,
    registry::{self, Access},
};

/// Serves the schema registry until SIGTERM or SIGINT. Does not wait for `medhub migrate`, which waits for it.
///
/// # Errors
/// [`ServeError`] when it cannot start, when HTTP ends by itself, or when the end takes too long.
pub async fn run(pool: PgPool, config: &Config) -> Result<(), ServeError> {
    attend(start(&pool, config), config.serve.shutdown_timeout(), &pool).await
}

async fn start(pool: &PgPool, config: &Config) -> Result<Parts, ServeError> {
    wait::for_postgres(pool, config.serve.startup_timeout()).await?;
    let store = SchemaStore::new(pool.clone());
    store.prepare().await.map_err(ServeError::Registry)?;
    let listener = listen("HTTP", config.http.listen).await?;
    let mut parts = Parts::default();
    let access = Access::new(&config.registry, &config.admin, Limiter::of_this_process(&config.limits));
    access.tell();
    start_http("HTTP", listener, registry::router(&config.http, store, access), connection_limits(config), &mut parts);
    Ok(parts)
}
