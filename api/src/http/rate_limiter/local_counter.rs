//! Rate limit counters of one process: for routes that must answer without `Redis`, and while `Redis` is unavailable.
//!
//! Same algorithm as `limiter.lua`. Each process counts only the requests that it serves.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use lru::LruCache;

/// Maximum number of counters; beyond it the least recently used are evicted.
const MAX_COUNTERS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

const MINUTE_MS: f64 = 60_000.0;

/// Result of a charge; the fields are those that `limiter.lua` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChargeOutcome {
    pub(super) is_allowed: bool,
    pub(super) remaining: u32,
    pub(super) retry_after_ms: u64,
    pub(super) reset_ms: u64,
}

/// Counters in memory. Cheap to clone; clones share the counters.
#[derive(Clone)]
pub(super) struct LocalRateCounter {
    started_at: Instant,
    /// By key: when the whole limit is available again, in milliseconds since `started_at`.
    reset_at_ms: Arc<Mutex<LruCache<String, f64>>>,
}

impl LocalRateCounter {
    pub(super) fn new() -> Self {
        Self { started_at: Instant::now(), reset_at_ms: Arc::new(Mutex::new(LruCache::new(MAX_COUNTERS))) }
    }

    /// Charges `cost` to the counter `key` of `limit` requests per minute; a negative cost is a refund.
    pub(super) fn charge(&self, key: &str, limit: u32, cost: i32) -> ChargeOutcome {
        let now = self.started_at.elapsed().as_secs_f64() * 1_000.0;
        let mut counts = self.reset_at_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, full_at) = charge_at(counts.get(key).copied(), now, limit, cost);
        if full_at > now {
            counts.put(key.to_owned(), full_at);
        } else {
            counts.pop(key);
        }
        outcome
    }
}

/// The result of a charge at `now`, and when the whole limit is available again after it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits before")]
fn charge_at(full_at: Option<f64>, now: f64, limit: u32, cost: i32) -> (ChargeOutcome, f64) {
    let step = MINUTE_MS / f64::from(limit.max(1));
    let charge = step * f64::from(cost);
    let full_at = full_at.unwrap_or_default().max(now);
    let whole_ms = |ms: f64| ms.ceil().max(0.0) as u64;
    let remaining =
        |full_at: f64| ((MINUTE_MS - (full_at - now)) / step + 0.001).floor().clamp(0.0, f64::from(limit)) as u32;
    let wait = full_at + charge - MINUTE_MS - now;
    if cost > 0 && wait > 0.5 {
        let outcome = ChargeOutcome {
            is_allowed: false,
            remaining: remaining(full_at),
            retry_after_ms: whole_ms(wait),
            reset_ms: whole_ms(full_at - now),
        };
        return (outcome, full_at);
    }
    let full_at = (full_at + charge).max(now);
    (
        ChargeOutcome {
            is_allowed: true,
            remaining: remaining(full_at),
            retry_after_ms: 0,
            reset_ms: whole_ms(full_at - now),
        },
        full_at,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_requests_may_arrive_at_once_and_capacity_returns_evenly() {
        let mut full_at = None;
        let mut at = |now, cost| {
            let (outcome, next) = charge_at(full_at, now, 6, cost);
            full_at = Some(next);
            outcome
        };
        assert_eq!((at(0.0, 1).remaining, at(0.0, 4).remaining), (5, 1));
        let refused = at(0.0, 2);
        assert_eq!(
            (refused.is_allowed, refused.remaining, refused.retry_after_ms),
            (false, 1, 10_000),
            "nothing is charged"
        );
        assert!(at(0.0, 1).is_allowed);
        assert!(!at(9_000.0, 1).is_allowed);
        assert_eq!(at(10_000.0, 1).remaining, 0);
        assert_eq!(at(10_000.0, -1).remaining, 1, "refunded");
        assert_eq!(at(600_000.0, -3).remaining, 6, "a refund does not exceed the limit");
    }

    #[test]
    fn each_key_has_its_own_counter() {
        let counts = LocalRateCounter::new();
        assert!(counts.charge("a", 1, 1).is_allowed);
        assert!(!counts.charge("a", 1, 1).is_allowed);
        assert!(counts.charge("b", 1, 1).is_allowed);
    }
}
