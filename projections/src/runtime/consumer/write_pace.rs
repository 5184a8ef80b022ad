//! How long a worker waits between two small batches, so that writing them does not take all of its stores' time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The pause after a batch is at least this many times as long as a batch took recently: writing takes at most a third of the
/// time of a worker that has little to do.
const PAUSE_FACTOR: u32 = 2;

/// The longest pause. A store that needs longer than half of this for a batch is waited for by the batch slots.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Share of the newest batch in the average: a single slow one, such as a commit that waited for the disk, has little effect.
const NEWEST_SHARE: u64 = 4;

/// The recent duration of a batch, from which the pause between two batches follows.
///
/// A batch has a fixed cost in every store, so that on a busy machine many small ones take the time that fewer, larger ones
/// would leave to others: then batches take longer, the pauses grow, and the batches with them. Batches that are full do not
/// wait.
#[derive(Debug, Default)]
pub(super) struct WritePace {
    average_us: AtomicU64,
}

impl WritePace {
    /// Adds the duration of a batch. Called by one task at a time.
    pub(super) fn record_batch(&self, duration: Duration) {
        let newest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / NEWEST_SHARE);
        let before = self.average_us.load(Ordering::Relaxed);
        self.average_us.store(before - before / NEWEST_SHARE + newest / NEWEST_SHARE, Ordering::Relaxed);
    }

    /// The shortest time from one batch that is not full to the next.
    pub(super) fn pause(&self) -> Duration {
        let average = Duration::from_micros(self.average_us.load(Ordering::Relaxed));
        average.saturating_mul(PAUSE_FACTOR).min(MAX_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_follows_the_duration_of_batches_up_to_the_longest() {
        let pace = WritePace::default();
        assert_eq!(pace.pause(), Duration::ZERO);
        pace.record_batch(Duration::from_millis(8));
        assert_eq!(pace.pause(), Duration::from_millis(4));
        pace.record_batch(Duration::from_millis(40));
        assert_eq!(pace.pause(), Duration::from_millis(23));
        for _ in 0..50 {
            pace.record_batch(Duration::from_secs(5));
        }
        assert_eq!(pace.pause(), MAX_PAUSE);
        pace.record_batch(Duration::MAX);
        assert_eq!(pace.pause(), MAX_PAUSE);
    }
}
