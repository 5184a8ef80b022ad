//! Reads the log in order, up to the fence.
//!
//! [`LogReplay`] streams any part of the log through `COPY`; the functions of this file read single pages.

mod append_wakeups;
mod copy_decoder;
mod correlation;
mod event_filter;
mod event_row;
mod log_reader;
mod replay;
mod sql_literal;

use chrono::{DateTime, Utc};
use domain::envelope::{Envelope, EventMetadata, RawEnvelope};
use sqlx::{PgConnection, Row, postgres::PgRow};

pub use self::{
    correlation::{
        CorrelatedPositions, EventSearch, StreamCorrelation, find_correlated_events, find_stream_correlations,
        read_events_at, search_event_backward,
    },
    event_filter::EventFilter,
    log_reader::PgLogReader,
    replay::{EventBatch, FollowOptions, LogReplay, ReplayOptions},
};
use crate::error::{LogError, postgres_error};

const READ_AFTER: &str = include_str!("log/read_after.sql");
const READ_STREAM: &str = include_str!("log/read_stream.sql");
const READ_TYPE: &str = include_str!("log/read_type.sql");

/// Reads the position up to which the log is complete: no event at or below it can still appear.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn load_fence(connection: &mut PgConnection) -> Result<u64, LogError> {
    let position: i64 = sqlx::query_scalar("select log_completed_prefix()")
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the fence"))?;
    Ok(position.unsigned_abs())
}

/// Reads the highest position that was ever assigned. Events at or below it may not be committed yet.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn log_end(connection: &mut PgConnection) -> Result<u64, LogError> {
    let end: i64 = sqlx::query_scalar("select coalesce(pg_sequence_last_value('events_position_seq'), 0)")
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the end of the log"))?;
    Ok(end.unsigned_abs())
}

/// Finds the position after which a reader of the completed prefix gets the last `count` events that match `filter`;
/// the fence when no event matches.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer, [`LogError::Filter`] when the filter cannot be expressed
/// in SQL.
pub async fn position_before_last(
    connection: &mut PgConnection,
    filter: &EventFilter,
    count: u32,
) -> Result<u64, LogError> {
    let fence = load_fence(connection).await?;
    let conditions = filter.to_sql().map_err(LogError::Filter)?;
    let statement = format!(
        "select min(position) from (select position from events where position <= {fence}{conditions} \
         order by position desc limit {count}) last"
    );
    let first: Option<i64> = sqlx::query_scalar(&statement)
        .fetch_one(connection)
        .await
        .map_err(postgres_error("finding the last events"))?;
    Ok(first.map_or(fence, |first| first.unsigned_abs().saturating_sub(1)))
}

/// A page of [`read_after`] ends once its payloads have this many bytes.
const PAGE_BYTES: i64 = 4 << 20;

/// Reads events after the position `after` up to and including `fence`, ordered by position: at most `limit`, and fewer
/// when they are large. Only an empty result means that there are no more.
///
/// `fence` must be a result of [`load_fence`] that was returned before this call.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer or a row cannot be decoded.
pub async fn read_after(
    connection: &mut PgConnection,
    after: u64,
    fence: u64,
    limit: u32,
) -> Result<Vec<RawEnvelope>, LogError> {
    let rows = sqlx::query(READ_AFTER)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(fence).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .bind(PAGE_BYTES)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading events"))?;
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding an event"))
}

/// Reads at most `limit` events of one stream after the sequence `after`, ordered by sequence.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer or a row cannot be decoded.
pub async fn read_stream(
    connection: &mut PgConnection,
    aggregate_type: &str,
    aggregate_id: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<RawEnvelope>, LogError> {
    let rows = sqlx::query(READ_STREAM)
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading a stream"))?;
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding an event"))
}

/// Reads at most `limit` events of all streams of an aggregate type after the stream and sequence `after`, ordered by
/// stream and sequence.
async fn read_type(
    connection: &mut PgConnection,
    aggregate_type: &str,
    (after_id, after_sequence): (&str, u64),
    limit: u32,
) -> Result<Vec<RawEnvelope>, LogError> {
    let rows = sqlx::query(READ_TYPE)
        .bind(aggregate_type)
        .bind(after_id)
        .bind(i64::try_from(after_sequence).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading the events of a type"))?;
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding an event"))
}

fn event_from_row(row: &PgRow) -> Result<RawEnvelope, sqlx::Error> {
    let tenant_id: String = row.try_get("tenant_id")?;
    let metadata: String = row.try_get("metadata")?;
    let metadata: EventMetadata = serde_json::from_str(&metadata).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Envelope {
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        event_id: row.try_get("event_id")?,
        metadata: EventMetadata { tenant_id: tenant_id.clone(), ..metadata },
        tenant_id,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
        payload: row.try_get("payload")?,
    })
}
