//! How fast a lane writes, by which it is known what can still be promised.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What writing one place of the buffer is taken to last before anything was measured: no fast machine.
const ASSUMED_PLACE_TIME: Duration = Duration::from_millis(1);

/// A batch of fewer places says little about large ones, since most of its time is the round trip.
const MIN_SAMPLE_PLACES: usize = 500;

/// How many fast batches in a row it takes to be believed, roughly.
const SMOOTHING: u32 = 4;

/// An estimate of how long a lane takes for its batches: a slow batch counts at once and in full, fast ones by and by.
#[derive(Debug)]
pub(super) struct WriteRate(Mutex<WriteEstimate>);

#[derive(Debug)]
struct WriteEstimate {
    /// How long a place of the buffer takes.
    place_time: Duration,
    /// Whether the last batch was not recorded.
    is_failing: bool,
}

impl Default for WriteRate {
    fn default() -> Self {
        Self(Mutex::new(WriteEstimate { place_time: ASSUMED_PLACE_TIME, is_failing: false }))
    }
}

impl WriteRate {
    /// Takes note of a batch: its places in the buffer, how long it took, and whether it is on record now.
    pub(super) fn record_batch(&self, places: usize, took: Duration, is_recorded: bool) {
        let mut estimate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.is_failing = !is_recorded;
        let known = estimate.place_time;
        let sample = took / u32::try_from(places.max(MIN_SAMPLE_PLACES)).unwrap_or(u32::MAX);
        if sample > known {
            estimate.place_time = sample;
        } else if is_recorded {
            // Small batches lead back to the assumption and no further.
            let target = if places < MIN_SAMPLE_PLACES { sample.max(ASSUMED_PLACE_TIME).min(known) } else { sample };
            estimate.place_time = known.saturating_sub(known.saturating_sub(target) / SMOOTHING);
        }
    }

    /// Whether the last batch was not recorded: then nothing can be promised.
    pub(super) fn is_failing(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_failing
    }

    /// How many places of the buffer a lane writes within that time.
    pub(super) fn places_within(&self, time: Duration) -> usize {
        let place_time = self.0.lock().unwrap_or_else(PoisonError::into_inner).place_time;
        usize::try_from(time.as_nanos() / place_time.as_nanos().max(1)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    #[test]
    fn a_slow_batch_counts_at_once_and_fast_ones_by_and_by() {
        let rate = WriteRate::default();
        assert_eq!(rate.places_within(TIME), 5_000);
        rate.record_batch(500, Duration::from_secs(2), true);
        assert_eq!(rate.places_within(TIME), 1_250);
        rate.record_batch(5_000, Duration::from_secs(1), true);
        assert!((1_251..2_000).contains(&rate.places_within(TIME)), "{rate:?}");
        for _ in 0..30 {
            rate.record_batch(5_000, Duration::from_secs(1), true);
        }
        assert!((20_000..=25_000).contains(&rate.places_within(TIME)), "{rate:?}");
    }

    #[test]
    fn small_batches_lead_back_to_the_assumption_and_no_further() {
        let rate = WriteRate::default();
        rate.record_batch(1, Duration::from_secs(30), true);
        assert_eq!(rate.places_within(TIME), 83);
        for _ in 0..50 {
            rate.record_batch(1, Duration::from_millis(5), true);
        }
        assert!((4_900..=5_000).contains(&rate.places_within(TIME)), "{rate:?}");
        for _ in 0..50 {
            rate.record_batch(5_000, Duration::from_millis(500), true);
        }
        let fast = rate.places_within(TIME);
        rate.record_batch(1, Duration::from_millis(5), true);
        assert_eq!(rate.places_within(TIME), fast, "a fast one stays fast");
    }

    #[test]
    fn a_batch_that_fails_fast_is_no_sign_of_speed() {
        let rate = WriteRate::default();
        rate.record_batch(5_000, Duration::ZERO, false);
        assert_eq!((rate.is_failing(), rate.places_within(TIME)), (true, 5_000));
        rate.record_batch(1, Duration::ZERO, true);
        assert!(!rate.is_failing());
    }
}
