//! Events that a projection cannot take in, kept in order until somebody deals with them.
//!
//! The unit is the stream of one aggregate in one generation of one projection: its first troublesome event is parked
//! with the reason, and its later events wait behind it, while all other streams go on. A re-drive applies them in order
//! under a lock on the stream, so that a worker that meets its next event either parks it behind them or, once all are
//! in, applies it.

mod fingerprint;
mod inspect;
mod redrive;

use std::collections::HashSet;

use domain::envelope::RawRecorded;
use sqlx::{PgConnection, PgPool, Row, types::Json};

pub(super) use self::fingerprint::fingerprint;
pub use self::{
    inspect::{DeadLetter, LetterQuery, ParkedSequence},
    redrive::{RedriveError, RedriveReport, Redriven},
};
use super::{ControlError, Generation, control::postgres, delivery::Kept};

/// A stream: the kind of aggregate and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// Its id.
    pub aggregate_id: String,
}

impl StreamKey {
    /// The stream of an event.
    pub fn of(event: &RawRecorded) -> Self {
        Self { aggregate_type: event.aggregate_type.clone(), aggregate_id: event.aggregate_id.clone() }
    }
}

/// An event about to be parked.
pub(super) struct Letter<'a> {
    pub(super) stream: StreamKey,
    pub(super) event: &'a RawRecorded,
    pub(super) kept: Kept,
    /// What is wrong with it; `None` where it only waits behind another one.
    pub(super) reason: Option<String>,
}

impl Letter<'_> {
    /// Tells a person.
    pub(super) fn report(&self, projection: &str, generation: Generation) {
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
pub(super) async fn park(
    connection: &mut PgConnection,
    projection: &str,
    generation: Generation,
    letters: &[Letter<'_>],
) -> Result<(), ControlError> {
    for letter in letters {
        let (stream, event) = (&letter.stream, letter.event);
        // A stream that is parked already keeps its first reason.
        let reason = letter.reason.as_deref().unwrap_or("waits behind an earlier event");
        sqlx::query(include_str!("dead_letter/park_sequence.sql"))
            .bind(projection)
            .bind(generation.number())
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(fingerprint(&event.event_type, reason))
            .bind(reason)
            .execute(&mut *connection)
            .await
            .map_err(postgres("parking a stream"))?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        sqlx::query(include_str!("dead_letter/park_letter.sql"))
            .bind(projection)
            .bind(generation.number())
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(number(event.sequence))
            .bind(number(event.position))
            .bind(event.event_id)
            .bind(&event.event_type)
            .bind(&event.event_version)
            .bind(event.recorded_at)
            .bind(Json(&letter.kept.headers))
            .bind(&letter.kept.value)
            .bind(letter.reason.as_deref())
            .execute(&mut *connection)
            .await
            .map_err(postgres("parking an event"))?;
    }
    Ok(())
}

/// The streams of a generation that have dead letters.
pub(super) async fn parked_streams(
    pool: &PgPool,
    projection: &str,
    generation: Generation,
) -> Result<HashSet<StreamKey>, ControlError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id from parked_sequences where projection = $1 and generation = $2",
    )
    .bind(projection)
    .bind(generation.number())
    .fetch_all(pool)
    .await
    .map_err(postgres("reading parked streams"))?;
    rows.iter().map(stream_key).collect::<Result<_, _>>().map_err(postgres("understanding a parked stream"))
}

/// Those of the streams that are parked still, locked until the transaction ends.
pub(super) async fn still_parked(
    connection: &mut PgConnection,
    projection: &str,
    generation: Generation,
    streams: &HashSet<StreamKey>,
) -> Result<HashSet<StreamKey>, ControlError> {
    if streams.is_empty() {
        return Ok(HashSet::new());
    }
    let (types, ids): (Vec<_>, Vec<_>) =
        streams.iter().map(|key| (key.aggregate_type.as_str(), key.aggregate_id.as_str())).unzip();
    let rows = sqlx::query(include_str!("dead_letter/still_parked.sql"))
        .bind(projection)
        .bind(generation.number())
        .bind(types)
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(postgres("reading parked streams"))?;
    rows.iter().map(stream_key).collect::<Result<_, _>>().map_err(postgres("understanding a parked stream"))
}

/// How many streams of a generation are parked.
pub(super) async fn count_streams(
    connection: &mut PgConnection,
    projection: &str,
    generation: Generation,
) -> Result<u64, ControlError> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from parked_sequences where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .fetch_one(connection)
            .await
            .map_err(postgres("counting parked streams"))?;
    Ok(count.unsigned_abs())
}

fn stream_key(row: &sqlx::postgres::PgRow) -> Result<StreamKey, sqlx::Error> {
    Ok(StreamKey { aggregate_type: row.try_get("aggregate_type")?, aggregate_id: row.try_get("aggregate_id")? })
}
