//! A circuit breaker, as in *Release It!* (Nygard, 2007): after failures in a row a provider is not asked for
//! a while, then one request tries it again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// Longest time that a provider is not asked.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// The settings of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open, in seconds; doubled with each trial that fails.
    pub pause_s: u64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 3, pause_s: 30 }
    }
}

/// Whether requests pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// None does for a while.
    Open,
    /// One tries.
    HalfOpen,
}

/// Decides whether a provider is asked.
#[derive(Debug)]
pub struct CircuitBreaker {
    config: BreakerConfig,
    inner: Mutex<BreakerProgress>,
}

#[derive(Debug, Default)]
struct BreakerProgress {
    failures: u32,
    /// How often it has opened since the last success.
    openings: u32,
    open_until: Option<Instant>,
    is_trying: bool,
}

/// The right to send one request. When it is dropped without an outcome, the request counts as neither.
#[derive(Debug)]
pub(crate) struct BreakerPermit<'a> {
    breaker: &'a CircuitBreaker,
    is_trial: bool,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, inner: Mutex::default() }
    }

    /// Its state at a time.
    pub fn state(&self, now: Instant) -> BreakerState {
        let progress = self.lock();
        match progress.open_until {
            None => BreakerState::Closed,
            Some(_) if progress.is_trying => BreakerState::HalfOpen,
            Some(until) if until > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// How long it stays open; zero when a request may pass, or one tries.
    pub(crate) fn remaining_pause(&self, now: Instant) -> Duration {
        self.lock().open_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// A permit, unless it is open or another request tries the provider.
    pub(crate) fn acquire_permit(&self, now: Instant) -> Option<BreakerPermit<'_>> {
        let mut progress = self.lock();
        match progress.open_until {
            None => Some(BreakerPermit { breaker: self, is_trial: false }),
            Some(until) if until > now || progress.is_trying => None,
            Some(_) => {
                progress.is_trying = true;
                Some(BreakerPermit { breaker: self, is_trial: true })
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BreakerProgress> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BreakerPermit<'_> {
    pub(crate) fn record_success(self) {
        *self.breaker.lock() = BreakerProgress::default();
    }

    /// Counts a failure. A pause that the provider asks for opens the breaker at once.
    pub(crate) fn record_failure(self, retry_after: Option<Duration>, now: Instant) {
        let mut progress = self.breaker.lock();
        progress.failures = progress.failures.saturating_add(1);
        if self.is_trial || progress.failures >= self.breaker.config.failures || retry_after.is_some() {
            let doublings = progress.openings.min(16);
            let own_pause = Duration::from_secs(self.breaker.config.pause_s).saturating_mul(1 << doublings);
            let pause = own_pause.max(retry_after.unwrap_or_default()).min(MAX_PAUSE);
            progress.openings = progress.openings.saturating_add(1);
            progress.open_until = Some(now + pause);
        }
    }
}

impl Drop for BreakerPermit<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.lock().is_trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct BreakerScenario {
        breaker: CircuitBreaker,
        now: Instant,
    }

    impl BreakerScenario {
        fn new() -> Self {
            Self { breaker: CircuitBreaker::new(BreakerConfig { failures: 2, pause_s: 10 }), now: Instant::now() }
        }

        fn permit(&self) -> Option<BreakerPermit<'_>> {
            self.breaker.acquire_permit(self.now)
        }

        fn fail(&self) {
            self.permit().unwrap().record_failure(None, self.now);
        }

        fn state(&self) -> BreakerState {
            self.breaker.state(self.now)
        }

        fn advance(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_trial_closes_it() {
        let mut scenario = BreakerScenario::new();
        scenario.fail();
        scenario.permit().unwrap().record_success();
        scenario.fail();
        assert_eq!(scenario.state(), BreakerState::Closed);
        scenario.fail();
        assert_eq!(scenario.state(), BreakerState::Open);
        assert!(scenario.permit().is_none());

        scenario.advance(10);
        let trial = scenario.permit().unwrap();
        assert_eq!(scenario.state(), BreakerState::HalfOpen);
        assert!(scenario.permit().is_none(), "a second request while one tries");
        trial.record_success();
        assert_eq!(scenario.state(), BreakerState::Closed);
    }

    #[test]
    fn a_failed_trial_doubles_the_pause() {
        let mut scenario = BreakerScenario::new();
        scenario.fail();
        scenario.fail();
        scenario.advance(10);
        scenario.fail();
        scenario.advance(19);
        assert!(scenario.permit().is_none());
        scenario.advance(1);
        assert!(scenario.permit().is_some());
    }

    #[test]
    fn a_trial_that_is_dropped_lets_the_next_one_try() {
        let mut scenario = BreakerScenario::new();
        scenario.fail();
        scenario.fail();
        scenario.advance(10);
        drop(scenario.permit().unwrap());
        assert!(scenario.permit().is_some());
    }

    #[test]
    fn a_pause_that_the_provider_asks_for_is_observed() {
        let mut scenario = BreakerScenario::new();
        scenario.permit().unwrap().record_failure(Some(Duration::from_mins(1)), scenario.now);
        scenario.advance(59);
        assert!(scenario.permit().is_none());
        assert_eq!(scenario.breaker.remaining_pause(scenario.now), Duration::from_secs(1));
        scenario.advance(1);
        assert!(scenario.permit().is_some());
    }
}
