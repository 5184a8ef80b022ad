//! Estimates how fast a lane writes, to decide how many events can be acknowledged before they are recorded.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Assumed time to write the events of one permit before anything was measured, as on a slow machine.
const ASSUMED_PERMIT_TIME: Duration = Duration::from_millis(1);

/// A batch with fewer permits says little about large ones, because most of its time is the round trip.
const MIN_SAMPLE_PERMITS: usize = 500;

/// A fast batch moves the estimate by this fraction of the difference.
const SMOOTHING: u32 = 4;

/// An estimate of the time that a lane needs for its batches: a slow batch raises it at once and in full, fast ones
/// lower it gradually.
#[derive(Debug)]
pub(super) struct WriteRate(Mutex<WriteEstimate>);

#[derive(Debug)]
struct WriteEstimate {
    /// Time to write the events of one permit.
    permit_time: Duration,
    /// Whether the last batch was not recorded.
    is_failing: bool,
}

impl Default for WriteRate {
    fn default() -> Self {
        Self(Mutex::new(WriteEstimate { permit_time: ASSUMED_PERMIT_TIME, is_failing: false }))
    }
}

impl WriteRate {
    /// Records a batch: its permits, how long it took, and whether it was recorded.
    pub(super) fn record_batch(&self, permits: usize, elapsed: Duration, is_recorded: bool) {
        let mut estimate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.is_failing = !is_recorded;
        let current = estimate.permit_time;
        let sample = elapsed / u32::try_from(permits.max(MIN_SAMPLE_PERMITS)).unwrap_or(u32::MAX);
        if sample > current {
            estimate.permit_time = sample;
        } else if is_recorded {
            // Small batches do not lower the estimate below the assumption.
            let target =
                if permits < MIN_SAMPLE_PERMITS { sample.max(ASSUMED_PERMIT_TIME).min(current) } else { sample };
            estimate.permit_time = current.saturating_sub(current.saturating_sub(target) / SMOOTHING);
        }
    }

    /// Whether the last batch was not recorded: then no events can be acknowledged before they are recorded.
    pub(super) fn is_failing(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_failing
    }

    /// Returns the number of permits whose events a lane writes within `time`.
    pub(super) fn permits_within(&self, time: Duration) -> usize {
        let permit_time = self.0.lock().unwrap_or_else(PoisonError::into_inner).permit_time;
        usize::try_from(time.as_nanos() / permit_time.as_nanos().max(1)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    #[test]
    fn a_slow_batch_counts_at_once_and_fast_ones_gradually() {
        let rate = WriteRate::default();
        assert_eq!(rate.permits_within(TIME), 5_000);
        rate.record_batch(500, Duration::from_secs(2), true);
        assert_eq!(rate.permits_within(TIME), 1_250);
        rate.record_batch(5_000, Duration::from_secs(1), true);
        assert!((1_251..2_000).contains(&rate.permits_within(TIME)), "{rate:?}");
        for _ in 0..30 {
            rate.record_batch(5_000, Duration::from_secs(1), true);
        }
        assert!((20_000..=25_000).contains(&rate.permits_within(TIME)), "{rate:?}");
    }

    #[test]
    fn small_batches_do_not_lower_the_estimate_below_the_assumption() {
        let rate = WriteRate::default();
        rate.record_batch(1, Duration::from_secs(30), true);
        assert_eq!(rate.permits_within(TIME), 83);
        for _ in 0..50 {
            rate.record_batch(1, Duration::from_millis(5), true);
        }
        assert!((4_900..=5_000).contains(&rate.permits_within(TIME)), "{rate:?}");
        for _ in 0..50 {
            rate.record_batch(5_000, Duration::from_millis(500), true);
        }
        let fast = rate.permits_within(TIME);
        rate.record_batch(1, Duration::from_millis(5), true);
        assert_eq!(rate.permits_within(TIME), fast, "a small batch does not raise a lower estimate");
    }

    #[test]
    fn a_failed_batch_does_not_lower_the_estimate() {
        let rate = WriteRate::default();
        rate.record_batch(5_000, Duration::ZERO, false);
        assert_eq!((rate.is_failing(), rate.permits_within(TIME)), (true, 5_000));
        rate.record_batch(1, Duration::ZERO, true);
        assert!(!rate.is_failing());
    }
}
