//! New events as one array per column, the form that `unnest` takes, so that one statement appends all rows.

use sqlx::{PgExecutor, postgres::PgDatabaseError};

const APPEND: &str = include_str!("append_events.sql");

/// Postgres' error code for a duplicate key, and the constraint that makes sequences unique within a stream.
const UNIQUE_VIOLATION: &str = "23505";
const STREAM_KEY: &str = "events_pkey";

/// One event to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEventRow<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) aggregate_id: &'a str,
    pub(crate) sequence: u64,
    pub(crate) event_type: &'a str,
    pub(crate) event_version: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) metadata: &'a str,
}

/// The rows of one statement. Positions are assigned in their order.
#[derive(Debug, Default)]
pub(crate) struct EventColumns<'a> {
    aggregate_type: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    sequence: Vec<i64>,
    event_type: Vec<&'a str>,
    event_version: Vec<&'a str>,
    payload: Vec<&'a str>,
    metadata: Vec<&'a str>,
}

impl<'a> EventColumns<'a> {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            aggregate_type: Vec::with_capacity(rows),
            aggregate_id: Vec::with_capacity(rows),
            sequence: Vec::with_capacity(rows),
            event_type: Vec::with_capacity(rows),
            event_version: Vec::with_capacity(rows),
            payload: Vec::with_capacity(rows),
            metadata: Vec::with_capacity(rows),
        }
    }

    pub(crate) fn push(&mut self, row: NewEventRow<'a>) {
        self.aggregate_type.push(row.aggregate_type);
        self.aggregate_id.push(row.aggregate_id);
        self.sequence.push(i64::try_from(row.sequence).unwrap_or(i64::MAX));
        self.event_type.push(row.event_type);
        self.event_version.push(row.event_version);
        self.payload.push(row.payload);
        self.metadata.push(row.metadata);
    }

    /// Appends all rows or none, in one round trip once the connection has prepared the statement. The statement
    /// commits by itself; within a transaction it has to be the first write (ADR 0003).
    pub(crate) async fn append<'c>(&self, executor: impl PgExecutor<'c>) -> Result<(), sqlx::Error> {
        // `execute` reads until the server is ready again, so a commit that fails after the insert is also an error.
        sqlx::query(APPEND)
            .bind(&self.aggregate_type)
            .bind(&self.aggregate_id)
            .bind(&self.sequence)
            .bind(&self.event_type)
            .bind(&self.event_version)
            .bind(&self.payload)
            .bind(&self.metadata)
            .execute(executor)
            .await
            .map(drop)
    }
}

/// Whether another writer has already appended an event with the same sequence to the stream.
pub(crate) fn is_conflict(error: &PgDatabaseError) -> bool {
    error.code() == UNIQUE_VIOLATION && error.constraint() == Some(STREAM_KEY)
}
