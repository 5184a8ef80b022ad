//! Appending to many streams in one statement: what imports decided, and facts that nobody decides about.

mod columns;
mod facts;

use domain::{
    envelope::Metadata,
    store::{BatchStore, NewEvent, StoreError, StoredEvent},
};
use sqlx::{
    PgPool, Row,
    postgres::{PgDatabaseError, PgRow},
};

pub(crate) use self::columns::{Columns, NewRow, is_conflict};
use crate::postgres::answer;

const LOAD: &str = include_str!("append/load_streams.sql");

/// Postgres' code for one of two transactions that wait for each other; it was rolled back.
const DEADLOCK: &str = "40P01";

/// The log as a batch store.
#[derive(Debug, Clone)]
pub struct PgBatchStore {
    pool: PgPool,
}

impl PgBatchStore {
    /// Works on the log behind `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl BatchStore for PgBatchStore {
    async fn load_many(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let loading = sqlx::query(LOAD).bind(aggregate_type).bind(aggregate_ids).fetch_all(&self.pool);
        let rows = answer(loading).await.map_err(unavailable)?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(unavailable)
    }

    async fn append_many(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let origins = Origins::of(events.iter().map(|event| &event.metadata))
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut columns = Columns::with_capacity(events.len());
        for (event, metadata) in events.iter().zip(origins.texts()) {
            columns.push(NewRow {
                aggregate_type: event.aggregate_type,
                aggregate_id: &event.aggregate_id,
                sequence: event.sequence,
                event_type: &event.event_type,
                event_version: &event.event_version,
                payload: &event.payload,
                metadata,
            });
        }
        match answer(columns.append(&self.pool)).await {
            Ok(()) => Ok(()),
            Err(sqlx::Error::Database(error)) if decide_again(error.downcast_ref()) => Err(StoreError::Conflict),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Two imports over the same streams may wait for each other; the one that Postgres ends decides anew, too.
fn decide_again(error: &PgDatabaseError) -> bool {
    is_conflict(error) || error.code() == DEADLOCK
}

/// The metadata of each event as JSON. An import has one origin, so that equal neighbours share a text.
struct Origins {
    texts: Vec<String>,
    of_event: Vec<usize>,
}

impl Origins {
    fn of<'a>(all: impl Iterator<Item = &'a Metadata>) -> Result<Self, serde_json::Error> {
        let mut origins = Self { texts: Vec::new(), of_event: Vec::new() };
        let mut last: Option<&Metadata> = None;
        for metadata in all {
            if last != Some(metadata) {
                origins.texts.push(serde_json::to_string(metadata)?);
                last = Some(metadata);
            }
            origins.of_event.push(origins.texts.len() - 1);
        }
        Ok(origins)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.of_event.iter().map(|&text| self.texts[text].as_str())
    }
}

fn stored(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    Ok(StoredEvent {
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
    })
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}
