//! What about engines that answer is not as this program needs it: named by `medhub doctor`, at the start of a service
//! and by `medhub status`, before it does harm.

use std::{future::Future, time::Duration};

use eventstore::{pooler, topic};
use futures::{FutureExt, future::join_all};
use serde::Serialize;

use super::{AppContext, BackingService};

/// How long an engine may take to tell its settings.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceFinding {
    /// Where.
    pub engine: BackingService,
    /// What it is and what to do about it.
    pub text: String,
    /// Whether something does not work for it; else it is only good to know.
    pub harmful: bool,
}

impl AppContext {
    /// Looks at the settings of these engines. Those that do not answer are left out: they are away.
    pub async fn collect_findings(&self, engines: &[BackingService]) -> Vec<ServiceFinding> {
        let look = |engine: &BackingService| match engine {
            BackingService::Postgres => self.check_pooler().boxed(),
            BackingService::Kafka => self.check_topics().boxed(),
            BackingService::Redis => self.check_eviction().boxed(),
            BackingService::ClickHouse | BackingService::Qdrant | BackingService::Registry => async { vec![] }.boxed(),
        };
        let found = join_all(engines.iter().map(|engine| check_with_timeout(*engine, look(engine)))).await;
        found.into_iter().flatten().collect()
    }

    async fn check_pooler(&self) -> Vec<ServiceFinding> {
        match pooler::detect_pooler(&self.pool).await {
            Ok(Some(shared)) => vec![ServiceFinding {
                engine: BackingService::Postgres,
                text: shared.advice().to_owned(),
                harmful: !shared.keeps_prepared_statements,
            }],
            Ok(None) => vec![],
            Err(error) => log_unavailable(BackingService::Postgres, &error),
        }
    }

    async fn check_topics(&self) -> Vec<ServiceFinding> {
        match topic::diagnose_topics(&self.kafka_config).await {
            Ok(found) => {
                let finding = |(text, harmful)| ServiceFinding { engine: BackingService::Kafka, text, harmful };
                found.into_iter().map(finding).collect()
            }
            Err(error) => log_unavailable(BackingService::Kafka, &error),
        }
    }

    async fn check_eviction(&self) -> Vec<ServiceFinding> {
        match self.read_models.current().opportunity_views.eviction_warning().await {
            Ok(evicts) => evicts
                .into_iter()
                .map(|text| ServiceFinding { engine: BackingService::Redis, text, harmful: true })
                .collect(),
            Err(error) => log_unavailable(BackingService::Redis, &error),
        }
    }
}

async fn check_with_timeout(
    engine: BackingService,
    look: impl Future<Output = Vec<ServiceFinding>>,
) -> Vec<ServiceFinding> {
    tokio::time::timeout(CHECK_TIMEOUT, look).await.unwrap_or_else(|_elapsed| {
        tracing::debug!(engine = engine.name(), "settings were not told in time");
        vec![]
    })
}

fn log_unavailable(engine: BackingService, error: &(dyn std::error::Error + 'static)) -> Vec<ServiceFinding> {
    tracing::debug!(engine = engine.name(), error, "settings were not told");
    vec![]
}
