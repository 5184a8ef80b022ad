//! The pause between two small batches, so that writing them leaves processor time to others.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The time from one batch to the next is at least this many times as long as a batch took recently.
const PAUSE_FACTOR: u32 = 2;

/// The longest pause is the linger times this, within [`LONGEST_PAUSES`].
const LINGERS: u32 = 5;

/// Lower and upper bound of the longest pause, so that even on a busy machine an event waits no longer for its batch.
const LONGEST_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// Share of the newest batch in the average: a single slow one, such as a commit that waited for the disk, has little effect.
const NEWEST_SHARE: u64 = 4;

/// The shortest time between two batches that are not full, by how long batches take.
///
/// A batch has a fixed cost in every store, so that on a busy machine many small ones take the time that fewer, larger ones
/// would leave to others: then batches take longer, the pauses grow, and the batches with them.
#[derive(Debug, Default)]
pub(super) struct BatchPause {
    average_us: AtomicU64,
}

impl BatchPause {
    /// Adds the duration of a batch. Called by one task at a time.
    pub(super) fn record_batch(&self, duration: Duration) {
        // A batch may have waited for a lock or an outage, which says nothing about the next ones.
        let newest = u64::try_from(duration.min(LONGEST_PAUSES[1]).as_micros()).unwrap_or_default();
        let before = self.average_us.load(Ordering::Relaxed);
        self.average_us.store(before - before / NEWEST_SHARE + newest / NEWEST_SHARE, Ordering::Relaxed);
    }

    /// The shortest time from one batch to the next, for a projection with this linger: the linger or longer.
    pub(super) fn after_batch(&self, linger: Duration) -> Duration {
        let average = Duration::from_micros(self.average_us.load(Ordering::Relaxed));
        let [least, most] = LONGEST_PAUSES;
        let longest = linger.saturating_mul(LINGERS).clamp(least, most);
        linger.max(average.saturating_mul(PAUSE_FACTOR).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_pause_follows_the_duration_of_batches_between_the_linger_and_the_longest() {
        let pause = BatchPause::default();
        assert_eq!(pause.after_batch(ms(2)), ms(2));
        pause.record_batch(ms(8));
        assert_eq!(pause.after_batch(ms(2)), ms(4));
        pause.record_batch(ms(40));
        assert_eq!((pause.after_batch(ms(2)), pause.after_batch(ms(50))), (ms(23), ms(50)));
        for _ in 0..50 {
            pause.record_batch(ms(200));
        }
        assert_eq!((pause.after_batch(ms(2)), pause.after_batch(ms(50))), (ms(50), ms(250)));
        assert_eq!(pause.after_batch(ms(400)), ms(400));
    }

    #[test]
    fn one_batch_that_waited_for_a_lock_does_not_slow_down_many() {
        let pause = BatchPause::default();
        pause.record_batch(Duration::MAX);
        assert!(pause.after_batch(ms(50)) <= ms(125));
        for _ in 0..4 {
            pause.record_batch(ms(10));
        }
        assert!(pause.after_batch(ms(50)) < ms(60));
    }
}
