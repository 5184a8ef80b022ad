//! Detects misconfigurations of engines that answer. `medhub doctor`, `medhub status` and the start of a service report
//! them.

use std::{future::Future, time::Duration};

use eventstore::{pooler, topic};
use futures::{FutureExt, future::join_all};
use serde::Serialize;

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

impl AppContext {
    /// Checks the settings of these engines. Engines that do not answer have no findings.
    pub async fn collect_findings(&self, engines: &[BackingService]) -> Vec<ServiceFinding> {
        let check = |engine: &BackingService| match *engine {
            BackingService::POSTGRES => self.check_pooler().boxed(),
            BackingService::KAFKA => self.check_topics().boxed(),
            BackingService::REDIS => self.check_eviction().boxed(),
            BackingService::CLICKHOUSE
            | BackingService::QDRANT
            | BackingService::REGISTRY
            | BackingService::Lists
            | BackingService::Objects => async { vec![] }.boxed(),
        };
        let found = join_all(engines.iter().map(|engine| check_with_timeout(*engine, check(engine)))).await;
        found.into_iter().flatten().collect()
    }

    async fn check_pooler(&self) -> Vec<ServiceFinding> {
        match pooler::detect_pooler(&self.pool).await {
            Ok(Some(shared)) => vec![ServiceFinding {
                engine: BackingService::POSTGRES,
                text: shared.advice().to_owned(),
                harmful: !shared.keeps_prepared_statements,
            }],
            Ok(None) => vec![],
            Err(error) => log_unavailable(BackingService::POSTGRES, &error),
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

    async fn check_eviction(&self) -> Vec<ServiceFinding> {
        match self.read_models.current().opportunity_views.eviction_warning().await {
            Ok(evicts) => evicts
                .into_iter()
                .map(|text| ServiceFinding { engine: BackingService::REDIS, text, harmful: true })
                .collect(),
            Err(error) => log_unavailable(BackingService::REDIS, &error),
        }
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

fn log_unavailable(engine: BackingService, error: &(dyn std::error::Error + 'static)) -> Vec<ServiceFinding> {
    tracing::debug!(engine = engine.name(), error, "checking the settings failed");
    vec![]
}
