//! Waits at the start for engines that do not answer yet.

use std::time::Duration;

use api::app_context::{self, AppContext, BackingService};
use futures::future::join_all;
use sqlx::PgPool;
use tokio::time::Instant;

use super::ServeError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Returns once every engine answers; logs the missing ones before every retry.
pub(super) async fn wait_for_services(
    app: &AppContext,
    engines: &[BackingService],
    timeout: Duration,
) -> Result<(), ServeError> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    let mut unavailable = find_unreachable_services(app, engines).await;
    while !unavailable.is_empty() {
        if Instant::now() + pause > deadline {
            return Err(ServeError::ServicesUnavailable { engines: unavailable, waited_s: timeout.as_secs() });
        }
        tracing::info!(engines = super::join_names(&unavailable), "waiting for engines");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        unavailable = find_unreachable_services(app, &unavailable).await;
    }
    Ok(())
}

/// Returns once Postgres answers, for a process that has no client of any other engine.
pub(super) async fn wait_for_postgres(pool: &PgPool, timeout: Duration) -> Result<(), ServeError> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    while let Err(error) = app_context::ping_postgres(pool).await {
        if Instant::now() + pause > deadline {
            return Err(ServeError::ServicesUnavailable {
                engines: vec![BackingService::POSTGRES],
                waited_s: timeout.as_secs(),
            });
        }
        tracing::info!(error = &error as &dyn std::error::Error, "waiting for Postgres");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    Ok(())
}

/// Returns once `medhub migrate` has prepared the database: it may run at the same time as the start of a service.
pub(super) async fn wait_for_migration(app: &AppContext, timeout: Duration) -> Result<(), ServeError> {
    let deadline = Instant::now() + timeout;
    while !app_context::is_migrated(&app.pool).await.map_err(ServeError::Schema)? {
        if Instant::now() + MAX_PAUSE > deadline {
            return Err(ServeError::NotMigrated);
        }
        tracing::info!("waiting for `medhub migrate`");
        tokio::time::sleep(MAX_PAUSE).await;
    }
    Ok(())
}

async fn find_unreachable_services(app: &AppContext, engines: &[BackingService]) -> Vec<BackingService> {
    let answers = join_all(engines.iter().map(|engine| app.ping(*engine))).await;
    let mut unavailable = Vec::new();
    for (engine, answer) in engines.iter().zip(answers) {
        if let Err(error) = answer {
            tracing::debug!(error = &error as &dyn std::error::Error, engine = engine.name(), "engine unavailable");
            unavailable.push(*engine);
        }
    }
    unavailable
}
