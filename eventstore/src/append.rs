//! Appending to many streams in one statement, for imports.

use domain::store::{BatchStore, NewEvent, StoreError, StoredEvent};
use sqlx::{PgPool, Row};

const LOAD: &str = include_str!("append/load_streams.sql");
const APPEND: &str = include_str!("append/append_events.sql");

/// Postgres' code for a row that is there already.
const UNIQUE_VIOLATION: &str = "23505";

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
        let rows = sqlx::query(LOAD)
            .bind(aggregate_type)
            .bind(aggregate_ids)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(unavailable)
    }

    async fn append_many(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut columns = Columns::default();
        for event in events {
            columns.push(event).map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        let outcome = sqlx::query(APPEND)
            .bind(&columns.aggregate_type)
            .bind(&columns.aggregate_id)
            .bind(&columns.sequence)
            .bind(&columns.event_type)
            .bind(&columns.event_version)
            .bind(&columns.payload)
            .bind(&columns.metadata)
            .execute(&self.pool)
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNIQUE_VIOLATION) => {
                Err(StoreError::Conflict)
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// One array per column, as `unnest` takes them.
#[derive(Default)]
struct Columns {
    aggregate_type: Vec<&'static str>,
    aggregate_id: Vec<String>,
    sequence: Vec<i64>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    payload: Vec<String>,
    metadata: Vec<String>,
}

impl Columns {
    fn push(&mut self, event: NewEvent) -> Result<(), serde_json::Error> {
        self.aggregate_type.push(event.aggregate_type);
        self.aggregate_id.push(event.aggregate_id);
        self.sequence.push(i64::try_from(event.sequence).unwrap_or(i64::MAX));
        self.event_type.push(event.event_type);
        self.event_version.push(event.event_version);
        self.payload.push(event.payload);
        self.metadata.push(serde_json::to_string(&event.metadata)?);
        Ok(())
    }
}

fn stored(row: &sqlx::postgres::PgRow) -> Result<StoredEvent, sqlx::Error> {
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
