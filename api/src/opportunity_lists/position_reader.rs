//! The position that cached results are valid for.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use projections::response_cache::ResponseCache;
use tokio::time::timeout;

/// Longest wait for the position.
const POSITION_TIMEOUT: Duration = Duration::from_millis(250);

/// How long the position is not asked for after it could not be read.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Reads the position of the last event about an opportunity.
#[derive(Debug, Default)]
pub(super) struct PositionReader {
    failed_at: Mutex<Option<Instant>>,
}

impl PositionReader {
    /// The position; `None` if it cannot be read soon, so that no cached result is valid.
    pub(super) async fn read(&self, invalidations: &ResponseCache) -> Option<u64> {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_some_and(|failed_at| failed_at.elapsed() < FAILURE_PAUSE) {
            return None;
        }
        let position = match timeout(POSITION_TIMEOUT, invalidations.opportunities_position()).await {
            Ok(Ok(position)) => Some(position),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "response cache unavailable");
                None
            }
            Err(_elapsed) => {
                tracing::warn!(timeout_ms = POSITION_TIMEOUT.as_millis(), "response cache does not answer in time");
                None
            }
        };
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) =
            if position.is_none() { Some(Instant::now()) } else { None };
        position
    }
}
