//! How far the relay is, as anybody can see in Postgres.

use sqlx::PgPool;

use super::leadership::LEADER_LOCK;
use crate::error::{LogError, postgres};

/// How far the relay is, whichever process leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayProgress {
    /// Whether one leads.
    pub leads: bool,
    /// Everything up to here is on Kafka, acknowledged, as far as was written down.
    pub position: u64,
    /// The log is complete up to here.
    pub fence: u64,
    /// Events between the two, counted up to a million.
    pub behind: u64,
}

/// Asks Postgres how far the relay is.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn progress(pool: &PgPool) -> Result<RelayProgress, LogError> {
    let (leads, position, fence, behind): (bool, i64, i64, i64) = sqlx::query_as(include_str!("progress/progress.sql"))
        .bind(LEADER_LOCK)
        .fetch_one(pool)
        .await
        .map_err(postgres("asking how far the relay is"))?;
    Ok(RelayProgress {
        leads,
        position: position.unsigned_abs(),
        fence: fence.unsigned_abs(),
        behind: behind.unsigned_abs(),
    })
}
