//! What every store holds, and whether they agree.

use eventstore::error::LogError;
use projections::QueryError;
use serde::Serialize;

use super::Stores;

/// What every store holds, in the form of `medhub status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The log.
    pub postgres: LogCounts,
    /// The topics.
    pub kafka: KafkaCounts,
    /// Figures and lists.
    pub clickhouse: AnalyticsCounts,
    /// Detail views.
    pub redis: ViewCounts,
    /// Meanings.
    pub qdrant: SearchCounts,
    /// What a caller of GraphQL sees.
    pub graphql: ApiCounts,
    /// Whether every store holds what the log holds.
    pub agree: bool,
}

/// What the log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogCounts {
    /// Events.
    pub events: u64,
    /// Aggregates they belong to.
    pub streams: u64,
}

/// What the topics hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KafkaCounts {
    /// Records on all topics of events.
    pub records: u64,
}

/// What `ClickHouse` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnalyticsCounts {
    /// Rows of the fact table.
    pub facts: u64,
    /// Rows of the opportunities table.
    pub opportunities: u64,
}

/// What Redis holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewCounts {
    /// Detail views.
    pub views: u64,
}

/// What Qdrant holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchCounts {
    /// Points.
    pub points: u64,
}

/// What GraphQL answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiCounts {
    /// `opportunities { totalCount }`.
    pub total_count: u64,
}

/// Why something could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The log or the topics did not answer.
    #[error("counting what the log holds")]
    Log(#[source] LogError),
    /// A read model did not answer.
    #[error("counting what a read model holds")]
    ReadModel(#[source] QueryError),
    /// GraphQL answered something else than a number.
    #[error("GraphQL did not answer how many opportunities there are: {0}")]
    GraphQl(String),
}

impl Stores {
    /// Counts everything, all stores at the same time.
    ///
    /// # Errors
    /// [`CountError`] naming the store that did not answer.
    pub async fn count(&self) -> Result<Counts, CountError> {
        let model = CountError::ReadModel;
        let live = self.live.now();
        let (log, records, facts, opportunities, views, points, total_count) = tokio::try_join!(
            async { eventstore::count::log(&self.pool).await.map_err(CountError::Log) },
            async { eventstore::count::records(&self.kafka_config).await.map_err(CountError::Log) },
            async { live.analytics.count_facts().await.map_err(model) },
            async { live.analytics.count_opportunities().await.map_err(model) },
            async { live.views.count_views().await.map_err(model) },
            async { live.search.count().await.map_err(model) },
            self.total_count(),
        )?;
        let counts = Counts {
            postgres: LogCounts { events: log.events, streams: log.streams },
            kafka: KafkaCounts { records },
            clickhouse: AnalyticsCounts { facts, opportunities },
            redis: ViewCounts { views },
            qdrant: SearchCounts { points },
            graphql: ApiCounts { total_count },
            agree: false,
        };
        Ok(Counts { agree: counts.all_equal(), ..counts })
    }
}

impl Counts {
    /// Every event is on Kafka and a fact, every stream is an opportunity everywhere.
    fn all_equal(&self) -> bool {
        let events = [self.kafka.records, self.clickhouse.facts];
        let streams = [self.clickhouse.opportunities, self.redis.views, self.qdrant.points, self.graphql.total_count];
        events.iter().all(|count| *count == self.postgres.events)
            && streams.iter().all(|count| *count == self.postgres.streams)
    }
}
