//! Whether the read model of lists has been built.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use projections::{
    opportunity_lists::OpportunityLists,
    runtime::{AnyProjection, LagError, ProjectionRuntime, ReadModelGeneration},
};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

/// Minimum time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Longest wait of the first check for the lists to catch up: events may have been recorded just before it.
const CATCH_UP_WAIT: Duration = Duration::from_secs(1);

/// Time between two measurements of the first check.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(20);

/// Longest wait for one check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the first generation of the lists has once contained everything that was on record, which is marked in its
/// schema. Later generations are complete when they become active.
#[derive(Debug, Default)]
pub(super) struct ListReadiness {
    is_ready: AtomicBool,
    was_checked: AtomicBool,
    state: Mutex<ReadinessState>,
}

#[derive(Debug, Default)]
struct ReadinessState {
    checked_at: Option<Instant>,
    /// End of the log at the first check.
    target: Option<u64>,
}

impl ListReadiness {
    /// Whether `lists` can be read. Asks Postgres, and the broker unless the lists are marked as complete there, until
    /// the answer is yes for the first time. Requests wait for the first check of the process, not for later ones of
    /// others.
    pub(super) async fn check(
        &self,
        runtime: &ProjectionRuntime,
        lists: &OpportunityLists,
        generation: ReadModelGeneration,
    ) -> bool {
        if generation != ReadModelGeneration::FIRST || self.is_ready.load(Ordering::Relaxed) {
            return true;
        }
        let state = if self.was_checked.load(Ordering::Relaxed) {
            self.state.try_lock().ok()
        } else {
            Some(self.state.lock().await)
        };
        let Some(mut state) = state else { return false };
        if self.is_ready.load(Ordering::Relaxed) {
            return true;
        }
        if state.checked_at.is_some_and(|checked_at| checked_at.elapsed() < CHECK_INTERVAL) {
            return false;
        }
        let wait = if state.checked_at.is_none() { CATCH_UP_WAIT } else { Duration::ZERO };
        let is_ready = match timeout(CHECK_TIMEOUT, is_complete(runtime, lists, &mut state.target, wait)).await {
            Ok(is_ready) => is_ready,
            Err(_elapsed) => {
                tracing::warn!(timeout_ms = CHECK_TIMEOUT.as_millis(), "reading the progress of the lists timed out");
                false
            }
        };
        if is_ready {
            self.is_ready.store(true, Ordering::Relaxed);
        } else if state.checked_at.is_none() {
            tracing::info!("the lists are not built yet; the default order is read from ClickHouse until then");
        }
        state.checked_at = Some(Instant::now());
        self.was_checked.store(true, Ordering::Relaxed);
        is_ready
    }
}

/// Whether the lists are marked as complete in Postgres. If they catch up within `wait`, this marks them.
async fn is_complete(
    runtime: &ProjectionRuntime,
    lists: &OpportunityLists,
    target: &mut Option<u64>,
    wait: Duration,
) -> bool {
    match lists.is_marked_complete().await {
        Ok(true) => return true,
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot read whether the lists are complete");
        }
    }
    let started_at = Instant::now();
    loop {
        match has_caught_up(runtime, lists, target).await {
            Ok(true) => break,
            Ok(false) if started_at.elapsed() < wait => sleep(CATCH_UP_INTERVAL).await,
            Ok(false) => return false,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot read the progress of the lists");
                return false;
            }
        }
    }
    // Other processes, and this one after a restart, then need neither the broker nor a worker that has no lag.
    if let Err(error) = lists.mark_complete().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot mark the lists as complete");
    }
    true
}

/// Whether the first generation has consumed all records, or those up to the end of the log at the first check.
async fn has_caught_up(
    runtime: &ProjectionRuntime,
    lists: &OpportunityLists,
    target: &mut Option<u64>,
) -> Result<bool, LagError> {
    if target.is_none() {
        *target = runtime.log().load_fence().await.ok();
    }
    let projection: Arc<dyn AnyProjection> = Arc::new(lists.clone());
    let lags = runtime.measure_lags(&[projection]).await?;
    let lag = lags.iter().find(|lag| lag.generation == ReadModelGeneration::FIRST);
    let has_reached = |position| target.is_some_and(|target| position >= target);
    Ok(lag.is_some_and(|lag| lag.records == 0 || has_reached(lag.position)))
}
