//! The count that a process keeps by itself: for paths that have to answer without `Redis`, and while `Redis` is away.
//!
//! It is the algorithm of `limiter.lua`. Of processes side by side each counts what it answers itself.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use lru::LruCache;

/// Most that are counted at the same time; whoever was quiet longest is forgotten first.
const MAX_COUNTERS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// The span of a limit, in milliseconds.
const MINUTE_MS: f64 = 60_000.0;

/// What became of a charge; the fields are those that `limiter.lua` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChargeOutcome {
    pub(super) is_allowed: bool,
    pub(super) remaining: u32,
    pub(super) retry_after_ms: u64,
    pub(super) reset_ms: u64,
}

/// Counts in memory. Cheap to clone; clones count together.
#[derive(Clone)]
pub(super) struct LocalRateCounter {
    started_at: Instant,
    /// By whom: when there is room for all again, in milliseconds since the beginning.
    reset_at_ms: Arc<Mutex<LruCache<String, f64>>>,
}

impl LocalRateCounter {
    pub(super) fn new() -> Self {
        Self { started_at: Instant::now(), reset_at_ms: Arc::new(Mutex::new(LruCache::new(MAX_COUNTERS))) }
    }

    /// Charges a cost to whom `key` names, who has `limit` requests a minute; a cost below 0 is given back.
    pub(super) fn charge(&self, key: &str, limit: u32, cost: i32) -> ChargeOutcome {
        let now = self.started_at.elapsed().as_secs_f64() * 1_000.0;
        let mut counts = self.reset_at_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let (charged, full) = charge_at(counts.get(key).copied(), now, limit, cost);
        if full > now {
            counts.put(key.to_owned(), full);
        } else {
            counts.pop(key);
        }
        charged
    }
}

/// What becomes of a charge at a time, and when there is room for all again afterwards.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits before")]
fn charge_at(full: Option<f64>, now: f64, limit: u32, cost: i32) -> (ChargeOutcome, f64) {
    let step = MINUTE_MS / f64::from(limit.max(1));
    let charge = step * f64::from(cost);
    let full = full.unwrap_or_default().max(now);
    let whole_ms = |ms: f64| ms.ceil().max(0.0) as u64;
    let remaining = |full: f64| ((MINUTE_MS - (full - now)) / step + 0.001).floor().clamp(0.0, f64::from(limit)) as u32;
    let wait = full + charge - MINUTE_MS - now;
    if cost > 0 && wait > 0.5 {
        let charged = ChargeOutcome {
            is_allowed: false,
            remaining: remaining(full),
            retry_after_ms: whole_ms(wait),
            reset_ms: whole_ms(full - now),
        };
        return (charged, full);
    }
    let full = (full + charge).max(now);
    (
        ChargeOutcome {
            is_allowed: true,
            remaining: remaining(full),
            retry_after_ms: 0,
            reset_ms: whole_ms(full - now),
        },
        full,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_requests_may_come_at_once_and_room_comes_back_evenly() {
        let mut full = None;
        let mut at = |now, cost| {
            let (charged, then) = charge_at(full, now, 6, cost);
            full = Some(then);
            charged
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
        assert_eq!(at(10_000.0, -1).remaining, 1, "given back");
        assert_eq!(at(600_000.0, -3).remaining, 6, "there is never more than all of it");
    }

    #[test]
    fn each_is_counted_for_themselves() {
        let counts = LocalRateCounter::new();
        assert!(counts.charge("a", 1, 1).is_allowed);
        assert!(!counts.charge("a", 1, 1).is_allowed);
        assert!(counts.charge("b", 1, 1).is_allowed);
    }
}
