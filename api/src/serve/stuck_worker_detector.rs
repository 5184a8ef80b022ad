//! Workers that say that they run and do not move.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Where each worker was seen, and since when it has been there.
pub(super) struct StuckWorkerDetector {
    last_positions: Mutex<HashMap<&'static str, (u64, Instant)>>,
    stuck_after: Duration,
}

impl StuckWorkerDetector {
    /// For workers that may stand still for that time while there is something to do.
    pub(super) fn new(patience: Duration) -> Self {
        Self { last_positions: Mutex::default(), stuck_after: patience }
    }

    /// Whether a worker is stuck: it has stood at that position for too long, although there is something behind it.
    pub(super) fn is_stuck(&self, worker: &'static str, position: u64, has_work: bool, now: Instant) -> bool {
        let mut places = self.last_positions.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, since) = places.entry(worker).or_insert((position, now));
        if *seen != position || !has_work {
            (*seen, *since) = (position, now);
        }
        now.duration_since(*since) >= self.stuck_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_stuck_when_it_stands_still_with_work_to_do() {
        let (places, start) = (StuckWorkerDetector::new(Duration::from_mins(1)), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!places.is_stuck("views", 5, true, after(0)));
        assert!(!places.is_stuck("views", 5, true, after(59)));
        assert!(places.is_stuck("views", 5, true, after(61)));
        assert!(!places.is_stuck("views", 6, true, after(62)), "it moved");
        assert!(!places.is_stuck("views", 6, false, after(200)), "it has nothing to do");
        assert!(!places.is_stuck("views", 6, true, after(230)), "it had nothing to do until a moment ago");
        assert!(places.is_stuck("views", 6, true, after(270)));
    }
}
