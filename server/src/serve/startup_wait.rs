//! Waits at the start for engines that do not answer yet.

use std::time::Duration;

use api::app_context::{self, AppContext, BackingService};
use domain::error_chain::format_error_chain;
use futures::future::join_all;
use sqlx::PgPool;
use tokio::time::Instant;

use super::ServeError;
use crate::connection_advice::ConnectionProblem;

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
    let mut warned = vec![];
    let mut unavailable = find_unreachable_services(app, engines).await;
    while !unavailable.is_empty() {
        if Instant::now() + pause > deadline {
            let known = unavailable.iter().filter_map(UnreachableService::describe_problem).collect();
            let engines = unavailable.iter().map(|missing| missing.service).collect();
            return Err(ServeError::ServicesUnavailable { engines, known, waited_s: timeout.as_secs() });
        }
        let names: Vec<_> = unavailable.iter().map(|missing| missing.service).collect();
        tracing::info!(engines = super::join_names(&names), "waiting for engines");
        for problem in describe_new_problems(&unavailable, &mut warned) {
            tracing::warn!(problem, "an engine refuses connections");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        unavailable = find_unreachable_services(app, &names).await;
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
                known: UnreachableService::new(BackingService::POSTGRES, &error)
                    .describe_problem()
                    .into_iter()
                    .collect(),
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

/// An engine that does not answer.
struct UnreachableService {
    service: BackingService,
    /// The error and its causes.
    reason: String,
}

impl UnreachableService {
    fn new(service: BackingService, error: &dyn std::error::Error) -> Self {
        Self { service, reason: format_error_chain(error) }
    }

    /// The reason and what to do, if waiting does not repair it.
    fn describe_problem(&self) -> Option<String> {
        let problem = ConnectionProblem::find(&self.reason)?;
        Some(format!("{}: {}: {}", self.service, self.reason, problem.advice(self.service)))
    }
}

/// Describes the problems that are not in `warned`, and adds them: by their kind, since a text may contain the time.
fn describe_new_problems(
    unavailable: &[UnreachableService],
    warned: &mut Vec<(BackingService, ConnectionProblem)>,
) -> Vec<String> {
    let mut texts = vec![];
    for missing in unavailable {
        let Some(problem) = ConnectionProblem::find(&missing.reason) else { continue };
        if !warned.contains(&(missing.service, problem)) {
            warned.push((missing.service, problem));
            texts.extend(missing.describe_problem());
        }
    }
    texts
}

async fn find_unreachable_services(app: &AppContext, engines: &[BackingService]) -> Vec<UnreachableService> {
    let answers = join_all(engines.iter().map(|engine| app.ping(*engine))).await;
    let mut unavailable = Vec::new();
    for (engine, answer) in engines.iter().zip(answers) {
        if let Err(error) = answer {
            tracing::debug!(error = &error as &dyn std::error::Error, engine = engine.name(), "engine unavailable");
            unavailable.push(UnreachableService::new(*engine, &error));
        }
    }
    unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_with_a_time_in_its_text_is_described_once() {
        let missing = |service, reason: &str| UnreachableService { service, reason: reason.to_owned() };
        let mut warned = vec![];
        let mut count_new = |unavailable: &[UnreachableService]| describe_new_problems(unavailable, &mut warned).len();
        let first = missing(BackingService::REDIS, "certificate expired: verification time 1 (UNIX)");
        let later = missing(BackingService::REDIS, "certificate expired: verification time 3 (UNIX)");
        assert_eq!(count_new(&[first]), 1);
        assert_eq!(count_new(&[later]), 0);
        let other_engine = missing(BackingService::KAFKA, "certificate expired: verification time 3 (UNIX)");
        let other_problem = missing(BackingService::REDIS, "WRONGPASS invalid username-password pair");
        let away = missing(BackingService::QDRANT, "Connection refused (os error 111)");
        assert_eq!(count_new(&[other_engine, other_problem, away]), 2);
    }
}
