//! Who is at work, as far as they said so lately.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{ControlError, ControlStore, postgres_error};
use crate::runtime::Generation;

/// A worker that has been silent for longer than this is taken for dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a worker says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerHeartbeat<'a> {
    /// The process.
    pub instance: Uuid,
    /// The projection.
    pub projection: &'a str,
    /// Its generation.
    pub generation: Generation,
    /// The machine.
    pub host: &'a str,
    /// What it is doing.
    pub state: &'a str,
    /// How many partitions it has.
    pub partitions: usize,
    /// Events it has applied since it started.
    pub applied: u64,
    /// How far it is behind, in seconds.
    pub lag_s: f64,
    /// What is wrong.
    pub last_error: Option<&'a str>,
}

/// What a worker said lately.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// The projection.
    pub projection: String,
    /// Its generation, as a number.
    pub generation: i32,
    /// The machine.
    pub host: String,
    /// What it is doing.
    pub state: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// Events it has applied since it started.
    pub applied: u64,
    /// How far it is behind, in seconds.
    pub lag_s: f64,
    /// What is wrong.
    pub last_error: Option<String>,
}

impl ControlStore {
    /// Notes what a worker says, and forgets those that have been silent for long.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn save_heartbeat(&self, heartbeat: &WorkerHeartbeat<'_>) -> Result<(), ControlError> {
        sqlx::query(include_str!("workers/beat.sql"))
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
            .map_err(postgres_error("noting what a worker does"))
    }

    /// A worker has ended.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn delete_worker(
        &self,
        instance: Uuid,
        projection: &str,
        generation: Generation,
    ) -> Result<(), ControlError> {
        sqlx::query("delete from projection_workers where instance = $1 and projection = $2 and generation = $3")
            .bind(instance)
            .bind(projection)
            .bind(generation.number())
            .execute(self.pool())
            .await
            .map(drop)
            .map_err(postgres_error("forgetting a worker"))
    }

    /// Every worker that said something lately.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn load_workers(&self) -> Result<Vec<WorkerRow>, ControlError> {
        let rows = sqlx::query(include_str!("workers/lately.sql"))
            .bind(HEARTBEAT_TIMEOUT.as_secs_f64())
            .fetch_all(self.pool())
            .await
            .map_err(postgres_error("reading who is at work"))?;
        rows.iter()
            .map(worker_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("understanding who is at work"))
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
