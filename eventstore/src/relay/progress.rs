//! How far the relay is, as anybody can see in Postgres.

use std::time::Duration;

use sqlx::PgPool;

use super::LEASE_NAME;
use crate::error::{LogError, postgres_error};

/// A relay that has been silent for longer than this is taken for dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// How far the relay is, whichever process leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayProgress {
    /// Whether one leads.
    pub leads: bool,
    /// Everything up to here is on Kafka, acknowledged, as far as was written down.
    pub position: u64,
    /// The log is complete up to here.
    pub fence: u64,
    /// Events between the two, counted up to a million.
    pub behind: u64,
    /// Relays that said something lately, leading or not.
    pub relays: u64,
    /// What keeps a relay from its work: the leader's error, or that of one that cannot lead.
    pub last_error: Option<String>,
}

/// Asks Postgres how far the relay is.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn load_progress(pool: &PgPool) -> Result<RelayProgress, LogError> {
    let row: (bool, i64, i64, i64, i64, Option<String>) = sqlx::query_as(include_str!("progress/progress.sql"))
        .bind(LEASE_NAME)
        .bind(HEARTBEAT_TIMEOUT.as_secs_f64())
        .fetch_one(pool)
        .await
        .map_err(postgres_error("asking how far the relay is"))?;
    let (leads, position, fence, behind, relays, last_error) = row;
    Ok(RelayProgress {
        leads,
        position: position.unsigned_abs(),
        fence: fence.unsigned_abs(),
        behind: behind.unsigned_abs(),
        relays: relays.unsigned_abs(),
        last_error,
    })
}
