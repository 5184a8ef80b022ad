//! The times before which the server may have removed rows; later rows are certainly present.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::storage::clickhouse::ClickHouseConfig;

/// Rows that expire within this time are left out of a comparison too.
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
        let from = |days: u32| match days {
            0 => DateTime::UNIX_EPOCH,
            days => (now - TimeDelta::days(days.into()) + MARGIN).max(DateTime::UNIX_EPOCH),
        };
        Self {
            raw: from(config.raw_ttl_days),
            minutes: from(config.minute_ttl_days),
            hours: from(config.hour_ttl_days),
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
    fn what_expires_within_a_day_is_left_out() {
        let config = ClickHouseConfig { raw_ttl_days: 90, minute_ttl_days: 0, ..ClickHouseConfig::default() };
        let now: DateTime<Utc> = "2026-04-01T12:00:00Z".parse().unwrap();
        let kept = RetentionCutoffs::from_config(now, &config);
        assert_eq!(kept.raw, "2026-01-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(1));
        assert_eq!(kept.minutes, DateTime::UNIX_EPOCH);
        assert_eq!(kept.hours, "2025-04-02T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn both_sides_of_a_comparison_have_one_time() {
        let as_of = ComparisonClock::default();
        let began = as_of.start();
        assert_eq!(as_of.clone().started_at().timestamp_micros(), began.timestamp_micros());
    }
}
