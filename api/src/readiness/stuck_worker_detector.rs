//! Detects workers that report to be running but make no progress.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Remembers the last position of each worker, and since when it has had it.
pub(super) struct StuckWorkerDetector {
    last_positions: Mutex<HashMap<&'static str, (u64, Instant)>>,
    stuck_after: Duration,
}

impl StuckWorkerDetector {
    /// Creates a detector of workers that make no progress for `stuck_after` although they have work.
    pub(super) fn new(stuck_after: Duration) -> Self {
        Self { last_positions: Mutex::default(), stuck_after }
    }

    /// Records a position and returns whether the worker is stuck: it has had work and the same position for too long.
    pub(super) fn is_stuck(&self, worker: &'static str, position: u64, has_work: bool, now: Instant) -> bool {
        let mut positions = self.last_positions.lock().unwrap_or_else(PoisonError::into_inner);
        let (last_position, since) = positions.entry(worker).or_insert((position, now));
        if *last_position != position || !has_work {
            (*last_position, *since) = (position, now);
        }
        now.duration_since(*since) >= self.stuck_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_with_work_and_without_progress_is_stuck() {
        let (detector, start) = (StuckWorkerDetector::new(Duration::from_mins(1)), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!detector.is_stuck("views", 5, true, after(0)));
        assert!(!detector.is_stuck("views", 5, true, after(59)));
        assert!(detector.is_stuck("views", 5, true, after(61)));
        assert!(!detector.is_stuck("views", 6, true, after(62)), "it made progress");
        assert!(!detector.is_stuck("views", 6, false, after(200)), "it has no work");
        assert!(!detector.is_stuck("views", 6, true, after(230)), "it has had work for 30 s only");
        assert!(detector.is_stuck("views", 6, true, after(270)));
    }
}
