//! Events that a projection cannot apply, stored in order until an operator redrives or drops them.
//!
//! Each generation parks events by stream: the first event that fails is parked with the reason, and the later events
//! of its stream are parked behind it, while all other streams continue. A redrive applies them in order under a lock
//! on the stream, so that a worker that receives the stream's next event either parks it behind them or, once all are
//! applied, applies it.

mod cause_fingerprint;
mod known_event_redrive;
mod parked_stream;
mod redrive;

use std::collections::HashSet;

use domain::{envelope::RawEnvelope, stream_id::StreamId};
use sqlx::{PgConnection, PgPool, Row, types::Json};

pub(super) use self::cause_fingerprint::cause_fingerprint;
pub use self::{
    parked_stream::{DeadLetter, ParkedStream, ParkedStreamQuery},
    redrive::{RedriveError, RedriveReport, RedrivenStream},
};
use super::{ControlError, ReadModelGeneration, consumed_record::RawRecord, control_store::postgres_error};

/// An event to be parked.
pub(super) struct NewDeadLetter<'a> {
    pub(super) stream: StreamId,
    pub(super) event: &'a RawEnvelope,
    pub(super) raw_record: RawRecord,
    /// Why it cannot be applied; `None` if it is only parked behind another event.
    pub(super) reason: Option<String>,
}

impl NewDeadLetter<'_> {
    /// Logs the event for operators.
    pub(super) fn log_parked(&self, projection: &str, generation: ReadModelGeneration) {
        tracing::error!(
            projection.name = projection,
            generation = %generation,
            event.id = %self.event.event_id,
            event.r#type = self.event.event_type,
            event.position = self.event.position,
            aggregate.id = self.event.aggregate_id,
            reason = self.reason,
            "event parked as a dead letter, later events of its stream wait behind it"
        );
    }
}

/// Parks events, in order.
pub(super) async fn park_events(
    connection: &mut PgConnection,
    projection: &str,
    generation: ReadModelGeneration,
    letters: &[NewDeadLetter<'_>],
) -> Result<(), ControlError> {
    for letter in letters {
        let (stream, event) = (&letter.stream, letter.event);
        // A stream that is already parked keeps its first reason.
        let reason = letter.reason.as_deref().unwrap_or("waits behind an earlier event");
        sqlx::query(include_str!("dead_letter/park_stream.sql"))
            .bind(projection)
            .bind(generation.number())
            .bind(&*stream.aggregate_type)
            .bind(&*stream.aggregate_id)
            .bind(cause_fingerprint(&event.event_type, reason))
            .bind(reason)
            .execute(&mut *connection)
            .await
            .map_err(postgres_error("parking a stream"))?;
        let to_bigint = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        sqlx::query(include_str!("dead_letter/park_letter.sql"))
            .bind(projection)
            .bind(generation.number())
            .bind(&*stream.aggregate_type)
            .bind(&*stream.aggregate_id)
            .bind(to_bigint(event.sequence))
            .bind(to_bigint(event.position))
            .bind(event.event_id)
            .bind(&event.event_type)
            .bind(&event.event_version)
            .bind(event.recorded_at)
            .bind(Json(&letter.raw_record.headers))
            .bind(&letter.raw_record.value)
            .bind(letter.reason.as_deref())
            .execute(&mut *connection)
            .await
            .map_err(postgres_error("parking an event"))?;
    }
    Ok(())
}

/// Loads the streams of a generation that have dead letters.
pub(super) async fn load_parked_streams(
    pool: &PgPool,
    projection: &str,
    generation: ReadModelGeneration,
) -> Result<HashSet<StreamId>, ControlError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id from parked_sequences where projection = $1 and generation = $2",
    )
    .bind(projection)
    .bind(generation.number())
    .fetch_all(pool)
    .await
    .map_err(postgres_error("reading parked streams"))?;
    rows.iter().map(stream_id_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding a parked stream"))
}

/// Returns the streams that are still parked, and locks them until the transaction ends.
pub(super) async fn lock_parked_streams(
    connection: &mut PgConnection,
    projection: &str,
    generation: ReadModelGeneration,
    streams: &HashSet<StreamId>,
) -> Result<HashSet<StreamId>, ControlError> {
    if streams.is_empty() {
        return Ok(HashSet::new());
    }
    let (types, ids): (Vec<_>, Vec<_>) =
        streams.iter().map(|stream| (&*stream.aggregate_type, &*stream.aggregate_id)).unzip();
    let rows = sqlx::query(include_str!("dead_letter/still_parked.sql"))
        .bind(projection)
        .bind(generation.number())
        .bind(types)
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading parked streams"))?;
    rows.iter().map(stream_id_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding a parked stream"))
}

/// Counts the parked streams of a generation.
pub(super) async fn count_parked_streams(
    connection: &mut PgConnection,
    projection: &str,
    generation: ReadModelGeneration,
) -> Result<u64, ControlError> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from parked_sequences where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .fetch_one(connection)
            .await
            .map_err(postgres_error("counting parked streams"))?;
    Ok(count.unsigned_abs())
}

fn stream_id_from_row(row: &sqlx::postgres::PgRow) -> Result<StreamId, sqlx::Error> {
    let (aggregate_type, aggregate_id): (String, String) =
        (row.try_get("aggregate_type")?, row.try_get("aggregate_id")?);
    Ok(StreamId::new(aggregate_type, aggregate_id))
}
