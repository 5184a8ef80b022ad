//! Appends to many streams in one statement: events of imports, and facts.

mod event_columns;
mod fact_columns;
mod facts;

use domain::{
    envelope::EventMetadata,
    event_store::{BatchStore, NewEvent, StoreError, StoredEvent},
};
use sqlx::{
    PgPool, Row,
    postgres::{PgDatabaseError, PgRow},
};

pub(crate) use self::event_columns::{EventColumns, NewEventRow, is_conflict};
use crate::postgres::with_append_timeout;

const LOAD_STREAMS: &str = include_str!("append/load_streams.sql");

/// Postgres' error code for a transaction that was rolled back to resolve a deadlock.
const DEADLOCK: &str = "40P01";

/// Loads and appends many streams at once.
#[derive(Debug, Clone)]
pub struct PgBatchStore {
    pool: PgPool,
}

impl PgBatchStore {
    /// Creates a batch store over the log in the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl BatchStore for PgBatchStore {
    async fn load_streams(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let loading = sqlx::query(LOAD_STREAMS).bind(aggregate_type).bind(aggregate_ids).fetch_all(&self.pool);
        let rows = with_append_timeout(loading).await.map_err(to_store_error)?;
        rows.iter().map(stored_event_from_row).collect::<Result<_, _>>().map_err(to_store_error)
    }

    async fn append_events(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let metadata_json = MetadataJson::from_metadata(events.iter().map(|event| &event.metadata))
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut columns = EventColumns::with_capacity(events.len());
        for (event, metadata) in events.iter().zip(metadata_json.texts()) {
            columns.push(NewEventRow {
                aggregate_type: event.aggregate_type,
                aggregate_id: &event.aggregate_id,
                sequence: event.sequence,
                event_type: &event.event_type,
                event_version: &event.event_version,
                payload: &event.payload,
                metadata,
            });
        }
        match with_append_timeout(columns.append(&self.pool)).await {
            Ok(()) => Ok(()),
            Err(sqlx::Error::Database(error)) if is_retryable_conflict(error.downcast_ref()) => {
                Err(StoreError::Conflict)
            }
            Err(error) => Err(to_store_error(error)),
        }
    }
}

/// A deadlock counts as a conflict: two imports over the same streams may wait for each other, and the one that
/// Postgres rolls back has to load the streams and decide again.
fn is_retryable_conflict(error: &PgDatabaseError) -> bool {
    is_conflict(error) || error.code() == DEADLOCK
}

/// The metadata of each event as JSON. Consecutive events with equal metadata share a text: the events of an import
/// have one origin.
struct MetadataJson {
    texts: Vec<String>,
    text_indexes: Vec<usize>,
}

impl MetadataJson {
    fn from_metadata<'a>(metadata_rows: impl Iterator<Item = &'a EventMetadata>) -> Result<Self, serde_json::Error> {
        let mut metadata_json = Self { texts: Vec::new(), text_indexes: Vec::new() };
        let mut previous: Option<&EventMetadata> = None;
        for metadata in metadata_rows {
            if previous != Some(metadata) {
                metadata_json.texts.push(serde_json::to_string(metadata)?);
                previous = Some(metadata);
            }
            metadata_json.text_indexes.push(metadata_json.texts.len() - 1);
        }
        Ok(metadata_json)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.text_indexes.iter().map(|&index| self.texts[index].as_str())
    }
}

fn stored_event_from_row(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    Ok(StoredEvent {
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
    })
}

fn to_store_error(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}
