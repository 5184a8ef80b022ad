//! The times before which the server may have removed rows; it cannot have removed later ones.

use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::storage::clickhouse::ClickHouseConfig;

/// Rows that expire within this time are left out of a comparison, too.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// The times after which rows are compared.
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

/// The time of a comparison, set when it is first asked for, so that all its reads and folds leave out the same rows. A
/// comparison has its own handle; one that takes longer than [`MARGIN`] may find rows that have expired meanwhile.
#[derive(Debug, Clone, Default)]
pub(super) struct ComparisonClock(Arc<OnceLock<DateTime<Utc>>>);

impl ComparisonClock {
    /// When the comparison began: now, if it begins.
    pub(super) fn started_at(&self) -> DateTime<Utc> {
        *self.0.get_or_init(now)
    }
}

/// The wall clock, which the server expires rows by. No event depends on it.
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
        let started_at = clock.started_at();
        assert_eq!(clock.clone().started_at(), started_at);
    }
}
