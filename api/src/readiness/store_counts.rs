//! Counts what every engine holds, and compares the counts.

use eventstore::error::LogError;
use projections::QueryError;
use serde::Serialize;

use crate::{app_context::AppContext, config::HttpConfig, graphql::GraphQl};

/// What every engine holds, as `medhub status --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreCounts {
    /// Counts of the event log and of the lists.
    pub postgres: PostgresCounts,
    /// Counts of the event topics.
    pub kafka: KafkaCounts,
    /// Counts of the analytics read model.
    pub clickhouse: ClickHouseCounts,
    /// Counts of the opportunity views.
    pub redis: RedisCounts,
    /// Counts of the search read model.
    pub qdrant: QdrantCounts,
    /// Counts that GraphQL returns.
    pub graphql: GraphQlCounts,
    /// Whether every engine holds what the log holds.
    pub agree: bool,
}

/// Counts of the event log, and of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostgresCounts {
    /// Number of events.
    pub events: u64,
    /// Number of streams.
    pub streams: u64,
    /// Number of streams of opportunities.
    pub opportunities: u64,
    /// Number of opportunities in the active generation of the lists.
    pub listed: u64,
}

/// Counts of the event topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KafkaCounts {
    /// Number of records of events on all topics.
    pub records: u64,
}

/// Counts of the active generation in `ClickHouse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClickHouseCounts {
    /// Rows of the fact table.
    pub facts: u64,
    /// Rows of the opportunities table.
    pub opportunities: u64,
}

/// Counts of the active generation in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedisCounts {
    /// Number of opportunity views.
    pub views: u64,
}

/// Counts of the active generation in Qdrant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QdrantCounts {
    /// Number of points.
    pub points: u64,
}

/// Counts that GraphQL returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlCounts {
    /// The result of `opportunities { totalCount }`.
    pub total_count: u64,
}

/// Why a count failed.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// Counting the log or the topics failed.
    #[error("counting the log and its topics")]
    Log(#[source] LogError),
    /// Counting a read model failed.
    #[error("counting a read model")]
    ReadModel(#[source] QueryError),
    /// GraphQL returned no number.
    #[error("GraphQL returned no number of opportunities: {0}")]
    GraphQl(String),
}

impl StoreCounts {
    /// Counts all engines concurrently.
    ///
    /// # Errors
    /// [`CountError`] when any count fails.
    pub async fn load(app: &AppContext) -> Result<Self, CountError> {
        let model = CountError::ReadModel;
        let active = app.read_models.current();
        // Boxed, as the largest ones: callers hold all of them at once.
        let (log, records, facts, opportunities, listed, views, points, total_count) = tokio::try_join!(
            Box::pin(async { eventstore::count::count_log(&app.pool).await.map_err(CountError::Log) }),
            async { eventstore::count::count_published(&app.kafka_config).await.map_err(CountError::Log) },
            async { active.analytics.count_events().await.map_err(model) },
            async { active.analytics.count_opportunities().await.map_err(model) },
            async { active.opportunity_lists.count_opportunities().await.map_err(model) },
            async { active.opportunity_views.count_views().await.map_err(model) },
            async { active.search.count_opportunities().await.map_err(model) },
            Box::pin(count_graphql_opportunities(app)),
        )?;
        let counts = Self {
            postgres: PostgresCounts {
                events: log.events,
                streams: log.streams,
                opportunities: log.opportunities,
                listed,
            },
            kafka: KafkaCounts { records },
            clickhouse: ClickHouseCounts { facts, opportunities },
            redis: RedisCounts { views },
            qdrant: QdrantCounts { points },
            graphql: GraphQlCounts { total_count },
            agree: false,
        };
        Ok(Self { agree: counts.all_agree(), ..counts })
    }

    /// The counts as rows of a table: store, what is counted, and the number.
    pub fn rows(&self) -> [(&'static str, &'static str, u64); 10] {
        [
            ("Postgres", "events", self.postgres.events),
            ("Kafka", "records", self.kafka.records),
            ("ClickHouse", "facts", self.clickhouse.facts),
            ("Postgres", "streams", self.postgres.streams),
            ("Postgres", "opportunities", self.postgres.opportunities),
            ("Postgres", "listed", self.postgres.listed),
            ("ClickHouse", "opportunities", self.clickhouse.opportunities),
            ("Qdrant", "points", self.qdrant.points),
            ("Redis", "views", self.redis.views),
            ("GraphQL", "totalCount", self.graphql.total_count),
        ]
    }

    /// Whether every event of the log is in Kafka and in the fact table, and every opportunity in every read model.
    fn all_agree(&self) -> bool {
        let events = [self.kafka.records, self.clickhouse.facts];
        let opportunities = [
            self.postgres.listed,
            self.clickhouse.opportunities,
            self.redis.views,
            self.qdrant.points,
            self.graphql.total_count,
        ];
        events.iter().all(|count| *count == self.postgres.events)
            && opportunities.iter().all(|count| *count == self.postgres.opportunities)
    }
}

/// Queries `opportunities { totalCount }` over GraphQL.
async fn count_graphql_opportunities(app: &AppContext) -> Result<u64, CountError> {
    let graphql = GraphQl::new(app, &HttpConfig::default());
    graphql.query_total_count().await.map_err(CountError::GraphQl)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 events of 3 opportunities, a watchlist and a visit.
    fn agreeing_counts() -> StoreCounts {
        StoreCounts {
            postgres: PostgresCounts { events: 12, streams: 5, opportunities: 3, listed: 3 },
            kafka: KafkaCounts { records: 12 },
            clickhouse: ClickHouseCounts { facts: 12, opportunities: 3 },
            redis: RedisCounts { views: 3 },
            qdrant: QdrantCounts { points: 3 },
            graphql: GraphQlCounts { total_count: 3 },
            agree: false,
        }
    }

    #[test]
    fn streams_of_other_aggregates_are_not_compared() {
        assert!(agreeing_counts().all_agree());
    }

    #[test]
    fn a_store_with_fewer_entries_does_not_agree() {
        let compared_counts: [fn(&mut StoreCounts) -> &mut u64; 7] = [
            |counts| &mut counts.kafka.records,
            |counts| &mut counts.clickhouse.facts,
            |counts| &mut counts.postgres.listed,
            |counts| &mut counts.clickhouse.opportunities,
            |counts| &mut counts.redis.views,
            |counts| &mut counts.qdrant.points,
            |counts| &mut counts.graphql.total_count,
        ];
        for compared_count in compared_counts {
            let mut counts = agreeing_counts();
            *compared_count(&mut counts) -= 1;
            assert!(!counts.all_agree(), "{counts:?}");
        }
    }
}
