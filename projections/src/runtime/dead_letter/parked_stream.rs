//! Queries of parked streams and their dead letters.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::stream_id::StreamId;
use sqlx::{QueryBuilder, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::runtime::{ControlError, ControlStore, ReadModelGeneration, control_store::postgres_error};

/// Criteria for parked streams; `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedStreamQuery {
    /// Only this projection.
    pub projection: Option<String>,
    /// Only this generation.
    pub generation: Option<ReadModelGeneration>,
    /// Only this cause.
    pub fingerprint: Option<String>,
    /// Only the stream of this aggregate.
    pub aggregate_id: Option<String>,
}

/// A stream whose events a generation parks, because it could not apply one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedStream {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: ReadModelGeneration,
    /// The stream.
    pub stream: StreamId,
    /// Fingerprint of the cause, equal for all failures of one kind.
    pub fingerprint: String,
    /// Why its first event cannot be applied.
    pub reason: String,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// Number of its dead letters.
    pub letters: u64,
    /// Number of failed redrives.
    pub attempts: u32,
}

/// One parked event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Id among all dead letters.
    pub id: i64,
    /// Its stream.
    pub stream: StreamId,
    /// Sequence of the event in the stream.
    pub sequence: u64,
    /// Position of the event in the log.
    pub position: u64,
    /// Id of the event.
    pub event_id: Uuid,
    /// Type of the event, e.g. `opportunity.awarded`.
    pub event_type: String,
    /// Schema version of the event.
    pub event_version: String,
    /// When the event was recorded.
    pub recorded_at: DateTime<Utc>,
    /// Headers of the record.
    pub headers: BTreeMap<String, String>,
    /// Value of the record, encoded.
    pub value: Vec<u8>,
    /// Number of failed redrives.
    pub attempts: u32,
    /// Why it cannot be applied; `None` if it is only parked behind another event.
    pub reason: Option<String>,
}

impl ControlStore {
    /// Finds parked streams, the longest parked first.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn find_parked_streams(&self, query: &ParkedStreamQuery) -> Result<Vec<ParkedStream>, ControlError> {
        let mut sql = QueryBuilder::new(include_str!("parked.sql"));
        if let Some(projection) = &query.projection {
            sql.push(" and parked.projection = ").push_bind(projection);
        }
        if let Some(generation) = query.generation {
            sql.push(" and parked.generation = ").push_bind(generation.number());
        }
        if let Some(fingerprint) = &query.fingerprint {
            sql.push(" and parked.fingerprint = ").push_bind(fingerprint);
        }
        if let Some(aggregate_id) = &query.aggregate_id {
            sql.push(" and parked.aggregate_id = ").push_bind(aggregate_id);
        }
        sql.push(" order by parked.parked_at, parked.projection, parked.generation, parked.aggregate_id");
        let rows = sql.build().fetch_all(self.pool()).await.map_err(postgres_error("reading parked streams"))?;
        rows.iter()
            .map(parked_stream_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("decoding a parked stream"))
    }

    /// Loads the events of one parked stream, in order.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_dead_letters(&self, parked: &ParkedStream) -> Result<Vec<DeadLetter>, ControlError> {
        let rows = sqlx::query(include_str!("letters.sql"))
            .bind(&parked.projection)
            .bind(parked.generation.number())
            .bind(&*parked.stream.aggregate_type)
            .bind(&*parked.stream.aggregate_id)
            .fetch_all(self.pool())
            .await
            .map_err(postgres_error("reading dead letters"))?;
        rows.iter()
            .map(dead_letter_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("decoding a dead letter"))
    }
}

pub(super) fn parked_stream_from_row(row: &PgRow) -> Result<ParkedStream, sqlx::Error> {
    let generation = ReadModelGeneration::try_new(row.try_get("generation")?);
    Ok(ParkedStream {
        projection: row.try_get("projection")?,
        generation: generation.map_err(|error| sqlx::Error::Decode(error.into()))?,
        stream: super::stream_id_from_row(row)?,
        fingerprint: row.try_get("fingerprint")?,
        reason: row.try_get("reason")?,
        parked_at: row.try_get("parked_at")?,
        letters: row.try_get::<i64, _>("letters")?.unsigned_abs(),
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
    })
}

pub(super) fn dead_letter_from_row(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    let Json(headers) = row.try_get("headers")?;
    Ok(DeadLetter {
        id: row.try_get("id")?,
        stream: super::stream_id_from_row(row)?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: row.try_get("recorded_at")?,
        headers,
        value: row.try_get("value")?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        reason: row.try_get("last_reason")?,
    })
}
