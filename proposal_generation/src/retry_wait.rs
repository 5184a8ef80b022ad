//! How long an attempt waits for providers and searches that fail.

use std::time::Duration;

/// Shortest pause before a section is tried again: what has just failed seldom works at once.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The time that an attempt may still wait. The attempts of a task follow each other within half a minute, which is less than
/// the pause after a rate limit or an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryWait {
    remaining: Duration,
}

impl RetryWait {
    pub(crate) fn new(longest: Duration) -> Self {
        Self { remaining: longest }
    }

    /// The next pause, for what can be tried again after `retry_after`; `None` when the time is used up.
    pub(crate) fn take_pause(&mut self, retry_after: Duration) -> Option<Duration> {
        if self.remaining.is_zero() {
            return None;
        }
        let pause = retry_after.max(SHORTEST_PAUSE).min(self.remaining);
        self.remaining = self.remaining.saturating_sub(pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_bounded_together() {
        let mut wait = RetryWait::new(Duration::from_secs(100));
        let pauses = [0, 60, 90, 1].map(|seconds| wait.take_pause(Duration::from_secs(seconds)));
        let expected = [Some(1), Some(60), Some(39), None];
        assert_eq!(pauses, expected.map(|pause| pause.map(Duration::from_secs)));
        assert_eq!(RetryWait::new(Duration::ZERO).take_pause(Duration::ZERO), None);
    }
}
