//! The running workers, by their heartbeats.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::ReadModelGeneration;

/// A worker without a heartbeat for longer than this counts as dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker's heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerHeartbeat<'a> {
    /// Identity of the heartbeat task, new with every start of the worker.
    pub instance: Uuid,
    /// The projection.
    pub projection: &'a str,
    /// Its generation.
    pub generation: ReadModelGeneration,
    /// Host name and process id, as `<host>:<pid>`.
    pub host: &'a str,
    /// Name of its [`WorkerState`](crate::runtime::WorkerState).
    pub state: &'a str,
    /// Number of assigned partitions.
    pub partitions: usize,
    /// Events applied since it started.
    pub applied: u64,
    /// Age of the newest event of the last batch when it was applied, in seconds.
    pub lag_s: f64,
    /// The last error, until a batch succeeds.
    pub last_error: Option<&'a str>,
}

/// A worker's last heartbeat, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// The projection.
    pub projection: String,
    /// Its generation, as a number.
    pub generation: i32,
    /// Host name and process id, as `<host>:<pid>`.
    pub host: String,
    /// Name of its [`WorkerState`](crate::runtime::WorkerState).
    pub state: String,
    /// Number of assigned partitions.
    pub partitions: i32,
    /// Events applied since it started.
    pub applied: u64,
    /// Age of the newest event of the last batch when it was applied, in seconds.
    pub lag_s: f64,
    /// The last error, until a batch succeeds.
    pub last_error: Option<String>,
}

impl ControlStore {
    /// Saves a heartbeat, and deletes workers without a heartbeat for an hour.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn save_heartbeat(&self, heartbeat: &WorkerHeartbeat<'_>) -> Result<(), ControlError> {
        sqlx::query(include_str!("workers/save_heartbeat.sql"))
            .bind(heartbeat.instance)
            .bind(heartbeat.projection)
            .bind(heartbeat.generation.number())
            .bind(heartbeat.host)
            .bind(heartbeat.state)
            .bind(i32::try_from(heartbeat.partitions).unwrap_or(i32::MAX))
            .bind(i64::try_from(heartbeat.applied).unwrap_or(i64::MAX))
            .bind(heartbeat.lag_s)
            .bind(heartbeat.last_error)
            .execute(self.pool())
            .await
            .map(drop)
            .map_err(postgres_error("saving a heartbeat"))
    }

    /// Deletes the row of a worker that has ended.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn delete_worker(
        &self,
        instance: Uuid,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<(), ControlError> {
        sqlx::query("delete from projection_workers where instance = $1 and projection = $2 and generation = $3")
            .bind(instance)
            .bind(projection)
            .bind(generation.number())
            .execute(self.pool())
            .await
            .map(drop)
            .map_err(postgres_error("deleting a worker"))
    }

    /// Loads all workers with a recent heartbeat.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_workers(&self) -> Result<Vec<WorkerRow>, ControlError> {
        let rows = sqlx::query(include_str!("workers/recent.sql"))
            .bind(HEARTBEAT_TIMEOUT.as_secs_f64())
            .fetch_all(self.pool())
            .await
            .map_err(postgres_error("reading workers"))?;
        rows.iter().map(worker_from_row).collect::<Result<_, _>>().map_err(postgres_error("decoding a worker"))
    }
}

fn worker_from_row(row: &PgRow) -> Result<WorkerRow, sqlx::Error> {
    Ok(WorkerRow {
        projection: row.try_get("projection")?,
        generation: row.try_get("generation")?,
        host: row.try_get("host")?,
        state: row.try_get("state")?,
        partitions: row.try_get("partitions")?,
        applied: row.try_get::<i64, _>("applied")?.unsigned_abs(),
        lag_s: row.try_get("lag_s")?,
        last_error: row.try_get("last_error")?,
    })
}
