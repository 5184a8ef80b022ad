//! What about engines that answer is not as this program needs it: named by `medhub doctor`, at the start of a service
//! and by `medhub status`, before it does harm.

use std::{future::Future, time::Duration};

use eventstore::{pooler, topic};
use futures::{FutureExt, future::join_all};
use serde::Serialize;

use super::{Engine, Stores};

/// How long an engine may take to tell its settings.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub engine: Engine,
    /// What it is and what to do about it.
    pub text: String,
    /// Whether something does not work for it; else it is only good to know.
    pub harmful: bool,
}

impl Stores {
    /// Looks at the settings of these engines. Those that do not answer are left out: they are away.
    pub async fn findings(&self, engines: &[Engine]) -> Vec<Finding> {
        let look = |engine: &Engine| match engine {
            Engine::Postgres => self.shared_sessions().boxed(),
            Engine::Kafka => self.topics().boxed(),
            Engine::Redis => self.eviction().boxed(),
            Engine::ClickHouse | Engine::Qdrant | Engine::Registry => async { vec![] }.boxed(),
        };
        let found = join_all(engines.iter().map(|engine| in_time(*engine, look(engine)))).await;
        found.into_iter().flatten().collect()
    }

    async fn shared_sessions(&self) -> Vec<Finding> {
        match pooler::find(&self.pool).await {
            Ok(Some(shared)) => vec![Finding {
                engine: Engine::Postgres,
                text: shared.advice().to_owned(),
                harmful: !shared.keeps_statements,
            }],
            Ok(None) => vec![],
            Err(error) => silent(Engine::Postgres, &error),
        }
    }

    async fn topics(&self) -> Vec<Finding> {
        match topic::findings(&self.kafka_config).await {
            Ok(found) => {
                let finding = |(text, harmful)| Finding { engine: Engine::Kafka, text, harmful };
                found.into_iter().map(finding).collect()
            }
            Err(error) => silent(Engine::Kafka, &error),
        }
    }

    async fn eviction(&self) -> Vec<Finding> {
        match self.live.now().views.eviction().await {
            Ok(evicts) => {
                evicts.into_iter().map(|text| Finding { engine: Engine::Redis, text, harmful: true }).collect()
            }
            Err(error) => silent(Engine::Redis, &error),
        }
    }
}

async fn in_time(engine: Engine, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(ANSWER_WITHIN, look).await.unwrap_or_else(|_elapsed| {
        tracing::debug!(engine = engine.name(), "settings were not told in time");
        vec![]
    })
}

fn silent(engine: Engine, error: &(dyn std::error::Error + 'static)) -> Vec<Finding> {
    tracing::debug!(engine = engine.name(), error, "settings were not told");
    vec![]
}
