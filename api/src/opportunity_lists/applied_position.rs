//! How far a read model is known to have applied the log.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use projections::runtime::ProjectionRuntime;
use tokio::time::timeout;

use super::list_source::ListSource;

/// Minimum time between two readings: while events are recorded continuously, no result stays valid, and asking for each
/// would only add load.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// Longest wait for one reading.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// The latest reading. A read model never goes back, so that it stays true.
#[derive(Debug, Default)]
pub(super) struct AppliedPosition {
    latest: Mutex<Option<AppliedReading>>,
}

#[derive(Debug, Clone)]
struct AppliedReading {
    /// [`ListSource::key`].
    source: String,
    position: u64,
    read_at: Instant,
}

impl AppliedPosition {
    /// Whether the read model is known to have applied everything up to `position`.
    pub(super) async fn has_reached(&self, runtime: &ProjectionRuntime, source: &ListSource, position: u64) -> bool {
        let key = source.key();
        let known = {
            let mut latest = self.lock();
            let known = latest.as_ref().filter(|reading| reading.source == key).cloned();
            if let Some(reading) = &known
                && (reading.position >= position || reading.read_at.elapsed() < READ_INTERVAL)
            {
                return reading.position >= position;
            }
            // Others do not read at the same time.
            let known = known.map_or(0, |reading| reading.position);
            *latest = Some(AppliedReading { source: key.clone(), position: known, read_at: Instant::now() });
            known
        };
        let reading =
            timeout(READ_TIMEOUT, runtime.load_applied_position(source.read_model(), source.generation)).await;
        let Ok(Ok(applied)) = reading else { return false };
        let applied = applied.max(known);
        *self.lock() = Some(AppliedReading { source: key, position: applied, read_at: Instant::now() });
        applied >= position
    }

    fn lock(&self) -> MutexGuard<'_, Option<AppliedReading>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
