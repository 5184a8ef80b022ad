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
            postgres: LogCounts { events: log.events, streams: log.streams, opportunities: log.opportunities },
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
    /// Every event is on Kafka and a fact, every opportunity in the log is one everywhere.
    fn all_equal(&self) -> bool {
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
    fn agreeing() -> Counts {
        Counts {
            postgres: LogCounts { events: 12, streams: 5, opportunities: 3 },
            kafka: KafkaCounts { records: 12 },
            clickhouse: AnalyticsCounts { facts: 12, opportunities: 3 },
            redis: ViewCounts { views: 3 },
            qdrant: SearchCounts { points: 3 },
            graphql: ApiCounts { total_count: 3 },
            agree: false,
        }
    }

    #[test]
    fn streams_of_other_kinds_are_no_opportunities_and_need_not_be_anywhere() {
        assert!(agreeing().all_equal());
    }

    #[test]
    fn a_store_that_lacks_something_does_not_agree() {
        let lacking: [fn(&mut Counts) -> &mut u64; 6] = [
            |counts| &mut counts.kafka.records,
            |counts| &mut counts.clickhouse.facts,
            |counts| &mut counts.clickhouse.opportunities,
            |counts| &mut counts.redis.views,
            |counts| &mut counts.qdrant.points,
            |counts| &mut counts.graphql.total_count,
        ];
        for figure in lacking {
            let mut counts = agreeing();
            *figure(&mut counts) -= 1;
            assert!(!counts.all_equal(), "{counts:?}");
        }
    }
}
