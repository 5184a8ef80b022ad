//! The times before which the server may have removed rows; it cannot have removed later ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::storage::clickhouse::ClickHouseConfig;

/// Rows that expire within this time are left out of a comparison, too.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// The times from which on rows are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetentionCutoffs {
    /// Cutoff of events and engagement, by the time they were recorded.
    pub(super) raw: DateTime<Utc>,
    /// Cutoff of figures by minute.
    pub(super) minutes: DateTime<Utc>,
    /// Cutoff of figures by hour.
    pub(super) hours: DateTime<Utc>,
}

impl RetentionCutoffs {
    /// The cutoffs at time `now` under the configured retention.
    pub(super) fn from_config(now: DateTime<Utc>, config: &ClickHouseConfig) -> Self {
        let cutoff = |days: u32| match days {
            0 => DateTime::UNIX_EPOCH,
            days => (now - TimeDelta::days(days.into()) + MARGIN).max(DateTime::UNIX_EPOCH),
        };
        Self {
            raw: cutoff(config.raw_ttl_days),
            minutes: cutoff(config.minute_ttl_days),
            hours: cutoff(config.hour_ttl_days),
        }
    }
}

/// The time of a comparison, set when its fold begins, so that both sides leave out the same rows.
#[derive(Debug, Clone, Default)]
pub(super) struct ComparisonClock(Arc<AtomicI64>);

impl ComparisonClock {
    /// Starts a comparison and returns its time.
    pub(super) fn start(&self) -> DateTime<Utc> {
        let now = now();
        self.0.store(now.timestamp_micros(), Ordering::Relaxed);
        now
    }

    /// When the latest comparison began; now, if there was none.
    pub(super) fn started_at(&self) -> DateTime<Utc> {
        match self.0.load(Ordering::Relaxed) {
            0 => now(),
            micros => DateTime::from_timestamp_micros(micros).unwrap_or_default(),
        }
    }
}

/// The wall clock, by which the server expires rows. No event depends on it.
pub(super) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_expire_within_a_day_are_left_out() {
        let config = ClickHouseConfig { raw_ttl_days: 90, minute_ttl_days: 0, ..ClickHouseConfig::default() };
        let now: DateTime<Utc> = "2026-04-01T12:00:00Z".parse().unwrap();
        let cutoffs = RetentionCutoffs::from_config(now, &config);
        assert_eq!(cutoffs.raw, "2026-01-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(1));
        assert_eq!(cutoffs.minutes, DateTime::UNIX_EPOCH);
        assert_eq!(cutoffs.hours, "2025-04-02T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn both_sides_of_a_comparison_have_the_same_time() {
        let clock = ComparisonClock::default();
        let started_at = clock.start();
        assert_eq!(clock.clone().started_at().timestamp_micros(), started_at.timestamp_micros());
    }
}
