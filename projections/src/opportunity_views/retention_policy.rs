//! Expiry of keys whose number would otherwise grow without limit.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use crate::storage::redis::RedisConfig;

const DAY_SECONDS: u64 = 86_400;

/// How long daily leaderboards and visits are kept, in days.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetentionPolicy {
    leaderboard_days: u16,
    visit_days: u16,
}

impl RetentionPolicy {
    pub(super) fn from_config(config: &RedisConfig) -> Self {
        Self { leaderboard_days: config.leaderboard_days, visit_days: config.visit_days }
    }

    /// When the leaderboards of a day expire, in Unix seconds. The time depends only on the day, so that a later
    /// rebuild keeps the same leaderboards.
    pub(super) fn leaderboard_expiry(self, day: NaiveDate) -> i64 {
        let end = add_days(day, self.leaderboard_days).succ_opt().unwrap_or(NaiveDate::MAX);
        end.and_time(NaiveTime::MIN).and_utc().timestamp()
    }

    /// Whether the leaderboards of a day have not expired at `now`.
    pub(super) fn keeps_leaderboard(self, day: NaiveDate, now: DateTime<Utc>) -> bool {
        add_days(day, self.leaderboard_days) >= now.date_naive()
    }

    /// Time to live of a visit, in seconds from its last write. It does not count from the last event, because a
    /// rebuild writes old visits and needs their versions just as long in order to recognize repeated events.
    pub(super) fn visit_ttl_seconds(self) -> u64 {
        (u64::from(self.visit_days) + 1) * DAY_SECONDS
    }

    /// Whether a visit whose last event was recorded on `day` cannot have expired at `now`.
    pub(super) fn keeps_visit(self, day: NaiveDate, now: DateTime<Utc>) -> bool {
        add_days(day, self.visit_days) >= now.date_naive()
    }
}

fn add_days(day: NaiveDate, days: u16) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaderboard_is_kept_until_the_end_of_its_last_day() {
        let retention = RetentionPolicy { leaderboard_days: 1, visit_days: 0 };
        let (day, at) = ("2026-03-01".parse().unwrap(), |text: &str| text.parse::<DateTime<Utc>>().unwrap());
        assert!(retention.keeps_leaderboard(day, at("2026-03-02T23:59:59Z")));
        assert!(!retention.keeps_leaderboard(day, at("2026-03-03T00:00:00Z")));
        assert_eq!(retention.leaderboard_expiry(day), at("2026-03-03T00:00:00Z").timestamp());
    }
}
