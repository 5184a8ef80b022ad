//! Reading the log in order, below the fence.
//!
//! [`LogReplay`] streams any part of it at full speed; what it is made of is in the folder beside this file.

mod copy_decoder;
mod event_filter;
mod event_row;
mod log_reader;
mod replay;
mod sql_literal;

use chrono::{DateTime, Utc};
use domain::envelope::{Envelope, EventMetadata, RawEnvelope};
use sqlx::{PgConnection, Row, postgres::PgRow};

pub use self::{
    copy_decoder::CopyError,
    event_filter::EventFilter,
    event_row::EventRowError,
    log_reader::PgLogReader,
    replay::{EventBatch, FollowOptions, LogReplay, ReplayOptions},
    sql_literal::LiteralError,
};
use crate::error::{LogError, postgres_error};

const READ_AFTER: &str = include_str!("log/read_after.sql");
const READ_STREAM: &str = include_str!("log/read_stream.sql");

/// The position up to which the log is complete: no event at or below it can still appear.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn completed_prefix(connection: &mut PgConnection) -> Result<u64, LogError> {
    let position: i64 = sqlx::query_scalar("select log_completed_prefix()")
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the fence"))?;
    Ok(position.unsigned_abs())
}

/// The last position that was ever given out; events up to it may still be in the making.
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

/// The position after which the last `count` events that meet `filter` stand, up to the completed prefix.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer, [`LogError::Filter`] when the filter has no form in SQL.
pub async fn position_before_last(
    connection: &mut PgConnection,
    filter: &EventFilter,
    count: u32,
) -> Result<u64, LogError> {
    let fence = completed_prefix(connection).await?;
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

/// Bytes of payloads from which on a page of [`read_after`] is not added to.
const PAGE_BYTES: i64 = 4 << 20;

/// Up to `limit` events after `after` and not beyond `fence`, in the order of their positions; fewer where they are large.
/// There are no more only where none is answered.
///
/// `fence` must come from a call of [`completed_prefix`] that ended before this one starts.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer or a row cannot be understood.
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
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("understanding an event"))
}

/// Up to `limit` events of one stream behind the sequence `after`, in their order.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer or a row cannot be understood.
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
    rows.iter().map(event_from_row).collect::<Result<_, _>>().map_err(postgres_error("understanding an event"))
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
