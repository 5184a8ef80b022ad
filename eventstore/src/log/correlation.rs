//! Finds the events that one request caused, by their correlation id.
//!
//! An index has the correlation ids of all events except visits. It is an ordinary B-tree: correlation ids are UUIDs of
//! version 7, so that new ones are added at its right edge, and the thousands of equal ones of an import share entries.
//! Ids of events are random and in no index; [`search_event_backward`] reads the log from its end. ADR 36 has the
//! alternatives and their costs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{context::BoundedContext, envelope::RawEnvelope};
use sqlx::{PgConnection, Row};
use tokio::time::Instant;
use uuid::Uuid;

use super::{event_from_row, log_end};
use crate::{
    error::{LogError, postgres_error},
    postgres::with_timeout,
};

/// Time limit of a statement. An import of 100,000 notices with one correlation id takes about a second.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many of a stream's last events are looked at for their correlation ids.
const STREAM_EVENTS: i64 = 200;

/// How many positions of the log one statement searches for an event.
const SEARCH_STEP: u64 = 50_000;

/// Where the events of a correlation id are in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorrelatedPositions {
    /// Their positions, ascending; not all of them if there are more than the limit.
    pub positions: Vec<u64>,
    /// How many there are.
    pub total: u64,
}

/// A correlation id of a stream's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCorrelation {
    /// The correlation id.
    pub correlation_id: String,
    /// When the last event of the stream with this id was recorded.
    pub last_recorded_at: DateTime<Utc>,
}

/// The result of a search for an event by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSearch {
    /// The event was found.
    Found {
        /// Its correlation id, if it has one.
        correlation_id: Option<String>,
        /// Its kind of aggregate.
        aggregate_type: String,
    },
    /// The event is not in the part of the log that was searched.
    NotFound {
        /// All events after this position were searched; 0 if that is the whole log.
        after: u64,
    },
}

/// Finds the events with this correlation id, `limit` at most, of one tenant or of all. When there are more, those that
/// have a cause or an effect among them come first. Visits are left out.
///
/// # Errors
/// [`LogError`] when Postgres does not answer.
pub async fn find_correlated_events(
    connection: &mut PgConnection,
    correlation_id: &str,
    tenant_id: Option<&str>,
    limit: u32,
) -> Result<CorrelatedPositions, LogError> {
    let doing = "finding events by their correlation id";
    let query = sqlx::query(include_str!("find_correlated.sql"))
        .bind(correlation_id)
        .bind(tenant_id)
        .bind(i64::from(limit))
        .fetch_all(connection);
    let rows = with_timeout(QUERY_TIMEOUT, doing, async { query.await.map_err(postgres_error(doing)) }).await?;
    let mut found = CorrelatedPositions::default();
    for row in &rows {
        let number =
            |column| row.try_get::<i64, _>(column).map_err(postgres_error("decoding the position of an event"));
        found.positions.push(number("position")?.unsigned_abs());
        found.total = number("total")?.unsigned_abs();
    }
    found.positions.sort_unstable();
    Ok(found)
}

/// Finds the correlation ids of the last events of a stream, the newest first. Empty if there is no such stream.
///
/// # Errors
/// [`LogError`] when Postgres does not answer.
pub async fn find_stream_correlations(
    connection: &mut PgConnection,
    stream: &str,
    tenant_id: Option<&str>,
) -> Result<Vec<StreamCorrelation>, LogError> {
    let types: Vec<&str> = BoundedContext::ALL.iter().flat_map(|context| context.aggregate_types()).copied().collect();
    let doing = "finding the correlation ids of a stream";
    let query = sqlx::query(include_str!("find_stream_correlations.sql"))
        .bind(types)
        .bind(stream)
        .bind(tenant_id)
        .bind(STREAM_EVENTS)
        .fetch_all(connection);
    let rows = with_timeout(QUERY_TIMEOUT, doing, async { query.await.map_err(postgres_error(doing)) }).await?;
    let decoded = rows.iter().map(|row| {
        Ok(StreamCorrelation {
            correlation_id: row.try_get("correlation_id")?,
            last_recorded_at: row.try_get("last_recorded_at")?,
        })
    });
    decoded.collect::<Result<_, _>>().map_err(postgres_error("decoding the correlation ids of a stream"))
}

/// Searches the log for an event, from its end backward, until it is found or `time_limit` has passed.
///
/// # Errors
/// [`LogError`] when Postgres does not answer.
pub async fn search_event_backward(
    connection: &mut PgConnection,
    event_id: Uuid,
    time_limit: Duration,
) -> Result<EventSearch, LogError> {
    let deadline = Instant::now() + time_limit;
    let doing = "searching the log for an event";
    let mut to = log_end(connection).await?;
    while to > 0 && Instant::now() < deadline {
        let after = to.saturating_sub(SEARCH_STEP);
        let query = sqlx::query(include_str!("find_event_backward.sql"))
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::try_from(to).unwrap_or(i64::MAX))
            .bind(event_id)
            .fetch_optional(&mut *connection);
        let row = with_timeout(QUERY_TIMEOUT, doing, async { query.await.map_err(postgres_error(doing)) }).await?;
        if let Some(row) = row {
            let decode = || {
                Ok(EventSearch::Found {
                    correlation_id: row.try_get("correlation_id")?,
                    aggregate_type: row.try_get("aggregate_type")?,
                })
            };
            return decode().map_err(postgres_error("decoding an event"));
        }
        to = after;
    }
    Ok(EventSearch::NotFound { after: to })
}

/// Reads the events at these positions, in their order.
///
/// # Errors
/// [`LogError`] when Postgres does not answer or a row cannot be decoded.
pub async fn read_events_at(connection: &mut PgConnection, positions: &[u64]) -> Result<Vec<RawEnvelope>, LogError> {
    let positions: Vec<i64> = positions.iter().map(|position| i64::try_from(*position).unwrap_or(i64::MAX)).collect();
    let doing = "reading events";
    let query = sqlx::query(include_str!("read_positions.sql")).bind(positions).fetch_all(connection);
    let rows = with_timeout(QUERY_TIMEOUT, doing, async { query.await.map_err(postgres_error(doing)) }).await?;
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding an event"))
}
