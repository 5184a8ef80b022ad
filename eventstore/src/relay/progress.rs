//! Progress of the relay, read from Postgres by any process.

use std::time::Duration;

use sqlx::PgPool;

use super::LEASE_NAME;
use crate::error::{LogError, postgres_error};

/// A relay without a heartbeat for this long is considered dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Progress of the relay, whichever process leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayProgress {
    /// Whether a relay leads.
    pub leads: bool,
    /// The checkpoint: every event up to this position is on Kafka, acknowledged.
    pub position: u64,
    /// The log is complete up to this position.
    pub fence: u64,
    /// Number of events between the checkpoint and the fence, counted up to a million.
    pub behind: u64,
    /// Number of relays with a recent heartbeat, leading or not.
    pub relays: u64,
    /// Why a relay does not publish: the leader's error, or else the error of a relay that cannot take the lead.
    pub last_error: Option<String>,
}

/// Reads the progress of the relay.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn load_progress(pool: &PgPool) -> Result<RelayProgress, LogError> {
    let row: (bool, i64, i64, i64, i64, Option<String>) = sqlx::query_as(include_str!("progress/progress.sql"))
        .bind(LEASE_NAME)
        .bind(HEARTBEAT_TIMEOUT.as_secs_f64())
        .fetch_one(pool)
        .await
        .map_err(postgres_error("reading the relay's progress"))?;
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
