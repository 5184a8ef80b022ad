//! Counts of events in the log and on the topics.

use cqrs_es::Aggregate;
use domain::opportunity::Opportunity;
use sqlx::PgPool;

use crate::{
    error::{LogError, postgres_error},
    relay::read_published_progress,
    topic::KafkaConfig,
};

const COUNT_LOG: &str = include_str!("count/log.sql");

/// Numbers of events and streams in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounts {
    /// Number of events.
    pub events: u64,
    /// Number of streams, one per aggregate.
    pub streams: u64,
    /// Number of streams that are opportunities.
    pub opportunities: u64,
}

/// Counts events and streams. Scans the whole primary key: for operators and tests, not for frequent calls.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn count_log(pool: &PgPool) -> Result<LogCounts, LogError> {
    let (events, streams, opportunities): (i64, i64, i64) = sqlx::query_as(COUNT_LOG)
        .bind(Opportunity::TYPE)
        .fetch_one(pool)
        .await
        .map_err(postgres_error("counting events"))?;
    Ok(LogCounts {
        events: events.unsigned_abs(),
        streams: streams.unsigned_abs(),
        opportunities: opportunities.unsigned_abs(),
    })
}

/// Counts the events on the topics, without dead letters and beacons, from the ordinal in the last record of each
/// partition.
///
/// # Errors
/// [`LogError::Kafka`] when the broker does not answer, [`LogError::Partitions`] when a topic has fewer partitions than
/// configured.
pub async fn count_published(config: &KafkaConfig) -> Result<u64, LogError> {
    Ok(read_published_progress(config).await?.values().filter_map(|end| end.ordinal).sum())
}
