//! The stored record of a rebuild, readable from every process.

use sqlx::Row;

use super::{
    RebuildProgress,
    rebuild_lease::LEASE_NAME,
    rebuild_part::{RebuildPartRow, load_rebuild_parts},
};
use crate::runtime::{ControlError, ControlStore, control_store::postgres_error};

/// Status of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildStatus {
    /// A process is working on it.
    Running,
    /// It was interrupted; the same request resumes it.
    Interrupted,
    /// Its generations became active.
    Switched,
    /// A generation differed from the log, or the rebuild was abandoned; nothing was switched.
    Failed,
}

impl RebuildStatus {
    /// Whether no process is working on it any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Running => false,
            Self::Interrupted | Self::Switched | Self::Failed => true,
        }
    }
}

/// A rebuild as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildRecord {
    /// Its progress, up to half a second old.
    pub progress: RebuildProgress,
    /// Its status.
    pub state: RebuildStatus,
    /// Who started it.
    pub started_by: String,
    /// The error that ended or interrupted it.
    pub error: Option<String>,
}

impl ControlStore {
    /// Loads the rebuild that began last.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn last_rebuild(&self) -> Result<Option<RebuildRecord>, ControlError> {
        let control_error = || postgres_error("reading rebuilds");
        let mut connection = self.pool().acquire().await.map_err(control_error())?;
        let last = sqlx::query(include_str!("record/last.sql"))
            .bind(LEASE_NAME)
            .fetch_optional(&mut *connection)
            .await
            .map_err(control_error())?;
        let Some(last) = last else { return Ok(None) };
        let decode =
            || Ok((last.try_get("id")?, last.try_get("state")?, last.try_get("started_by")?, last.try_get("error")?));
        let (id, state, started_by, error): (i64, String, String, Option<String>) = decode().map_err(control_error())?;
        let is_lease_held: bool = last.try_get("is_lease_held").map_err(control_error())?;
        let state = match (state.as_str(), is_lease_held) {
            ("switched", _) => RebuildStatus::Switched,
            ("failed", _) => RebuildStatus::Failed,
            (_, true) => RebuildStatus::Running,
            (_, false) => RebuildStatus::Interrupted,
        };
        let parts = load_rebuild_parts(&mut connection, id).await?.iter().map(RebuildPartRow::progress).collect();
        Ok(Some(RebuildRecord { progress: RebuildProgress { id, continued: false, parts }, state, started_by, error }))
    }
}
