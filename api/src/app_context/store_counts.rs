//! What every store holds, and whether they agree.

use eventstore::error::LogError;
use projections::QueryError;
use serde::Serialize;

use super::AppContext;

/// What every store holds, in the form of `medhub status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreCounts {
    /// The log.
    pub postgres: PostgresCounts,
    /// The topics.
    pub kafka: KafkaCounts,
    /// Figures and lists.
    pub clickhouse: ClickHouseCounts,
    /// Detail views.
    pub redis: RedisCounts,
    /// Meanings.
    pub qdrant: QdrantCounts,
    /// What a caller of GraphQL sees.
    pub graphql: GraphQlCounts,
    /// Whether every store holds what the log holds.
    pub agree: bool,
}

/// What the log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostgresCounts {
    /// Events.
    pub events: u64,
    /// Aggregates they belong to.
    pub streams: u64,
    /// Those of them that are opportunities.
    pub opportunities: u64,
}

/// What the topics hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KafkaCounts {
    /// Records on all topics of events.
    pub records: u64,
}

/// What `ClickHouse` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClickHouseCounts {
    /// Rows of the fact table.
    pub facts: u64,
    /// Rows of the opportunities table.
    pub opportunities: u64,
}

/// What Redis holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedisCounts {
    /// Detail views.
    pub views: u64,
}

/// What Qdrant holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QdrantCounts {
    /// Points.
    pub points: u64,
}

/// What GraphQL answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlCounts {
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

impl AppContext {
    /// Counts everything, all stores at the same time.
    ///
    /// # Errors
    /// [`CountError`] naming the store that did not answer.
    pub async fn count_stores(&self) -> Result<StoreCounts, CountError> {
        let model = CountError::ReadModel;
        let live = self.read_models.current();
        let (log, records, facts, opportunities, views, points, total_count) = tokio::try_join!(
            async { eventstore::count::count_log(&self.pool).await.map_err(CountError::Log) },
            async { eventstore::count::count_published(&self.kafka_config).await.map_err(CountError::Log) },
            async { live.analytics.count_events().await.map_err(model) },
            async { live.analytics.count_opportunities().await.map_err(model) },
            async { live.opportunity_views.count_views().await.map_err(model) },
            async { live.search.count_opportunities().await.map_err(model) },
            self.count_graphql_opportunities(),
        )?;
        let counts = StoreCounts {
            postgres: PostgresCounts { events: log.events, streams: log.streams, opportunities: log.opportunities },
            kafka: KafkaCounts { records },
            clickhouse: ClickHouseCounts { facts, opportunities },
            redis: RedisCounts { views },
            qdrant: QdrantCounts { points },
            graphql: GraphQlCounts { total_count },
            agree: false,
        };
        Ok(StoreCounts { agree: counts.all_agree(), ..counts })
    }
}

impl StoreCounts {
    /// Every event is on Kafka and a fact, every opportunity in the log is one everywhere.
    fn all_agree(&self) -> bool {
        let events = [self.kafka.records, self.clickhouse.facts];
        let opportunities =
            [self.clickhouse.opportunities, self.redis.views, self.qdrant.points, self.graphql.total_count];
        events.iter().all(|count| *count == self.postgres.events)
            && opportunities.iter().all(|count| *count == self.postgres.opportunities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 events of 3 opportunities, a watchlist and a visit, everywhere.
    fn agreeing_counts() -> StoreCounts {
        StoreCounts {
            postgres: PostgresCounts { events: 12, streams: 5, opportunities: 3 },
            kafka: KafkaCounts { records: 12 },
            clickhouse: ClickHouseCounts { facts: 12, opportunities: 3 },
            redis: RedisCounts { views: 3 },
            qdrant: QdrantCounts { points: 3 },
            graphql: GraphQlCounts { total_count: 3 },
            agree: false,
        }
    }

    #[test]
    fn streams_of_other_kinds_are_no_opportunities_and_need_not_be_anywhere() {
        assert!(agreeing_counts().all_agree());
    }

    #[test]
    fn a_store_that_lacks_something_does_not_agree() {
        let lacking: [fn(&mut StoreCounts) -> &mut u64; 6] = [
            |counts| &mut counts.kafka.records,
            |counts| &mut counts.clickhouse.facts,
            |counts| &mut counts.clickhouse.opportunities,
            |counts| &mut counts.redis.views,
            |counts| &mut counts.qdrant.points,
            |counts| &mut counts.graphql.total_count,
        ];
        for figure in lacking {
            let mut counts = agreeing_counts();
            *figure(&mut counts) -= 1;
            assert!(!counts.all_agree(), "{counts:?}");
        }
    }
}
