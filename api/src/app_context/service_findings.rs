//! Detects misconfigurations of engines that answer. `medhub doctor`, `medhub status` and the start of a service report
//! them.

use std::{future::Future, time::Duration};

use eventstore::{pooler, topic};
use futures::{FutureExt, future::join_all};
use projections::{QueryError, storage::StorageProblem};
use serde::Serialize;
use sqlx::PgPool;

use super::{AppContext, BackingService};

/// Timeout of checking the settings of an engine.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// A misconfiguration of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceFinding {
    /// The engine.
    pub engine: BackingService,
    /// Description, with what to do about it.
    pub text: String,
    /// Whether something does not work because of it; otherwise it is informational.
    pub harmful: bool,
}

/// A pooler between this program and a database that the program does not work with. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub struct UnusablePooler {
    advice: String,
}

/// Refuses a pooler that the program does not work with; `service` is the owner of the database. A database that does
/// not answer is not refused.
///
/// # Errors
/// [`UnusablePooler`] says what to do.
pub async fn refuse_unusable_pooler(service: BackingService, pool: &PgPool) -> Result<(), UnusablePooler> {
    match pooler::detect_pooler(pool).await {
        Ok(Some(found)) if !found.is_usable() => Err(UnusablePooler { advice: found.advice(service.env_variable()) }),
        Ok(_) => Ok(()),
        Err(error) => {
            warn_about_unknown_pooler(service, &error);
            Ok(())
        }
    }
}

/// A cluster of ClickHouse that cannot have the tables of the read model. The text says what to do, for each problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct UnusableCluster {
    problems: Vec<String>,
}

impl AppContext {
    /// Refuses a cluster of ClickHouse that cannot have the tables of the read model, if ClickHouse is among `services`. One
    /// that does not answer is not refused.
    ///
    /// # Errors
    /// [`UnusableCluster`] with every problem.
    pub async fn refuse_unusable_cluster(&self, services: &[BackingService]) -> Result<(), UnusableCluster> {
        if !services.contains(&BackingService::CLICKHOUSE) {
            return Ok(());
        }
        let problems = check_with_timeout(BackingService::CLICKHOUSE, self.check_clickhouse()).await;
        let problems: Vec<_> =
            problems.into_iter().filter(|finding| finding.harmful).map(|finding| finding.text).collect();
        if problems.is_empty() { Ok(()) } else { Err(UnusableCluster { problems }) }
    }

    /// Refuses poolers that the program does not work with, in front of the databases among `services`.
    ///
    /// # Errors
    /// [`UnusablePooler`] of the first such database.
    pub async fn refuse_unusable_poolers(&self, services: &[BackingService]) -> Result<(), UnusablePooler> {
        for service in services {
            if let Some(pool) = self.find_database(*service) {
                refuse_unusable_pooler(*service, pool).await?;
            }
        }
        Ok(())
    }

    /// The database of a service, unless it shares another service's database.
    fn find_database(&self, service: BackingService) -> Option<&PgPool> {
        match service {
            BackingService::POSTGRES => Some(&self.pool),
            BackingService::Lists => self.lists_database.as_ref(),
            BackingService::Engine(_) | BackingService::Objects => None,
        }
    }

    /// Checks the settings of these engines. Engines that do not answer have no findings.
    pub async fn collect_findings(&self, engines: &[BackingService]) -> Vec<ServiceFinding> {
        let check = |engine: &BackingService| match *engine {
            service @ (BackingService::POSTGRES | BackingService::Lists) => self.check_pooler(service).boxed(),
            BackingService::KAFKA => self.check_topics().boxed(),
            BackingService::REDIS => self.check_redis().boxed(),
            BackingService::CLICKHOUSE => self.check_clickhouse().boxed(),
            BackingService::QDRANT => self.check_collections().boxed(),
            BackingService::REGISTRY | BackingService::Objects => async { vec![] }.boxed(),
        };
        let found = join_all(engines.iter().map(|engine| check_with_timeout(*engine, check(engine)))).await;
        found.into_iter().flatten().collect()
    }

    async fn check_pooler(&self, service: BackingService) -> Vec<ServiceFinding> {
        let Some(pool) = self.find_database(service) else { return vec![] };
        match pooler::detect_pooler(pool).await {
            Ok(Some(found)) => vec![ServiceFinding {
                engine: service,
                text: found.advice(service.env_variable()),
                harmful: !found.is_usable(),
            }],
            Ok(None) => vec![],
            Err(error) => {
                warn_about_unknown_pooler(service, &error);
                vec![]
            }
        }
    }

    async fn check_topics(&self) -> Vec<ServiceFinding> {
        match topic::diagnose_topics(&self.kafka_config).await {
            Ok(found) => {
                let finding = |(text, harmful)| ServiceFinding { engine: BackingService::KAFKA, text, harmful };
                found.into_iter().map(finding).collect()
            }
            Err(error) => log_unavailable(BackingService::KAFKA, &error),
        }
    }

    async fn check_clickhouse(&self) -> Vec<ServiceFinding> {
        let problems = self.read_models.current().analytics.find_cluster_problems().await;
        describe_storage_problems(BackingService::CLICKHOUSE, problems)
    }

    async fn check_redis(&self) -> Vec<ServiceFinding> {
        match self.read_models.current().opportunity_views.server_warnings().await {
            Ok(warnings) => warnings
                .into_iter()
                .map(|text| ServiceFinding { engine: BackingService::REDIS, text, harmful: true })
                .collect(),
            Err(error) => log_unavailable(BackingService::REDIS, &error),
        }
    }

    async fn check_collections(&self) -> Vec<ServiceFinding> {
        let problems = self.read_models.current().search.find_collection_differences().await;
        describe_storage_problems(BackingService::QDRANT, problems)
    }
}

fn describe_storage_problems(
    engine: BackingService,
    problems: Result<Vec<StorageProblem>, QueryError>,
) -> Vec<ServiceFinding> {
    match problems {
        Ok(problems) => {
            let finding = |StorageProblem { text, harmful }| ServiceFinding { engine, text, harmful };
            problems.into_iter().map(finding).collect()
        }
        Err(error) => log_unavailable(engine, &error),
    }
}

async fn check_with_timeout(
    engine: BackingService,
    check: impl Future<Output = Vec<ServiceFinding>>,
) -> Vec<ServiceFinding> {
    tokio::time::timeout(CHECK_TIMEOUT, check).await.unwrap_or_else(|_elapsed| {
        tracing::debug!(engine = engine.name(), "checking the settings timed out");
        vec![]
    })
}

fn warn_about_unknown_pooler(service: BackingService, error: &(dyn std::error::Error + 'static)) {
    let engine = service.name();
    tracing::warn!(engine, error, "cannot tell whether a pooler is in front of the database, and whether it is usable");
}

fn log_unavailable(engine: BackingService, error: &(dyn std::error::Error + 'static)) -> Vec<ServiceFinding> {
    tracing::debug!(engine = engine.name(), error, "checking the settings failed");
    vec![]
}
