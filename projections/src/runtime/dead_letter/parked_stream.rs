//! Looking at what is parked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::StreamKey;
use crate::runtime::{ControlError, ControlStore, Generation, control_store::postgres_error};

/// Which parked streams are meant; empty parts do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedStreamQuery {
    /// Of this projection.
    pub projection: Option<String>,
    /// Of this generation.
    pub generation: Option<Generation>,
    /// With this cause.
    pub fingerprint: Option<String>,
    /// Of this aggregate.
    pub aggregate_id: Option<String>,
}

/// A stream that a generation cannot take in further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedStream {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: Generation,
    /// The stream.
    pub stream: StreamKey,
    /// The cause; the same for all failures of one kind.
    pub fingerprint: String,
    /// What was wrong with its first event.
    pub reason: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
    /// How many events wait.
    pub letters: u64,
    /// How often it was re-driven in vain.
    pub attempts: u32,
}

/// One event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among all dead letters.
    pub id: i64,
    /// Its stream.
    pub stream: StreamKey,
    /// Its place in the stream.
    pub sequence: u64,
    /// Its place in the log.
    pub position: u64,
    /// The event.
    pub event_id: Uuid,
    /// Its name.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
    /// Everything it travelled with.
    pub headers: BTreeMap<String, String>,
    /// The value, as it travelled.
    pub value: Vec<u8>,
    /// How often it was tried again in vain.
    pub attempts: u32,
    /// What is wrong with it; `None` where it only waits behind another one.
    pub reason: Option<String>,
}

impl ControlStore {
    /// The parked streams that are meant, the longest parked first.
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
            .map_err(postgres_error("understanding a parked stream"))
    }

    /// The events of one parked stream, in order.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_dead_letters(&self, parked: &ParkedStream) -> Result<Vec<DeadLetter>, ControlError> {
        let rows = sqlx::query(include_str!("letters.sql"))
            .bind(&parked.projection)
            .bind(parked.generation.number())
            .bind(&parked.stream.aggregate_type)
            .bind(&parked.stream.aggregate_id)
            .fetch_all(self.pool())
            .await
            .map_err(postgres_error("reading dead letters"))?;
        rows.iter()
            .map(dead_letter_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("understanding a dead letter"))
    }
}

fn parked_stream_from_row(row: &PgRow) -> Result<ParkedStream, sqlx::Error> {
    let generation = Generation::try_new(row.try_get("generation")?);
    Ok(ParkedStream {
        projection: row.try_get("projection")?,
        generation: generation.map_err(|error| sqlx::Error::Decode(error.into()))?,
        stream: super::stream_key_from_row(row)?,
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
        stream: super::stream_key_from_row(row)?,
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
