//! When a job runs: a cron pattern in a time zone.

use std::{fmt, str::FromStr as _};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

/// A cron pattern (minute, hour, day of the month, month, day of the week) in a time zone.
///
/// Across a change of the clocks a time that does not exist is replaced by the first one after it, and a time that exists
/// twice is used once, unless the pattern names every hour.
#[derive(Debug, Clone)]
pub struct JobSchedule {
    pattern: Cron,
    zone: Tz,
}

/// Why a schedule is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum JobScheduleError {
    /// The cron pattern is invalid.
    #[error("the schedule {pattern:?} is no cron pattern; write e.g. \"15 3 * * *\" for every day at 3:15")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The cause.
        #[source]
        source: croner::errors::CronError,
    },
    /// The time zone is unknown.
    #[error("the time zone {0:?} is unknown; write a name of the IANA database, e.g. \"America/New_York\"")]
    Zone(String),
}

impl JobSchedule {
    /// Parses a cron pattern and the name of a time zone.
    ///
    /// # Errors
    /// [`JobScheduleError`].
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, JobScheduleError> {
        let zone = zone.parse().map_err(|_| JobScheduleError::Zone(zone.to_owned()))?;
        let pattern = Cron::from_str(pattern)
            .map_err(|source| JobScheduleError::Pattern { pattern: pattern.to_owned(), source })?;
        Ok(Self { pattern, zone })
    }

    /// The first time after `time`; `None` if there is none, as for February 30.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.pattern.find_next_occurrence(&time.with_timezone(&self.zone), false);
        next.ok().map(|next| next.with_timezone(&Utc))
    }
}

impl fmt::Display for JobSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pattern.pattern, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times_after(pattern: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
        let schedule = JobSchedule::parse(pattern, zone).unwrap();
        let mut time = start.parse().unwrap();
        (0..count)
            .map(|_| {
                time = schedule.next_after(time).unwrap();
                time.format("%m-%dT%H:%MZ").to_string()
            })
            .collect()
    }

    #[test]
    fn a_schedule_names_the_times_after_a_time() {
        assert_eq!(times_after("15 3 * * *", "UTC", "2026-03-01T03:15:00Z", 2), ["03-02T03:15Z", "03-03T03:15Z"]);
        assert_eq!(
            times_after("*/30 * * * *", "UTC", "2026-03-01T03:15:00Z", 3),
            ["03-01T03:30Z", "03-01T04:00Z", "03-01T04:30Z"]
        );
    }

    #[test]
    fn a_day_of_23_and_one_of_25_hours_have_one_run_each() {
        // Clocks in New York go from 2:00 to 3:00 on 2026-03-08, and from 2:00 to 1:00 on 2026-11-01.
        assert_eq!(
            times_after("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3),
            ["03-07T07:30Z", "03-08T07:00Z", "03-09T06:30Z"]
        );
        assert_eq!(
            times_after("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", 3),
            ["10-31T05:30Z", "11-01T05:30Z", "11-02T06:30Z"]
        );
    }

    #[test]
    fn bad_patterns_and_zones_are_named() {
        let message = |pattern, zone| JobSchedule::parse(pattern, zone).unwrap_err().to_string();
        assert!(message("61 * * * *", "UTC").starts_with("the schedule \"61 * * * *\" is no cron pattern"));
        assert!(message("* * * * *", "Mars/Olympus").starts_with("the time zone \"Mars/Olympus\" is unknown"));
        assert_eq!(JobSchedule::parse("0 0 30 2 *", "UTC").unwrap().next_after(DateTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_schedule_is_shown_as_it_is_written() {
        assert_eq!(JobSchedule::parse("15 3 * * *", "Europe/Berlin").unwrap().to_string(), "15 3 * * * Europe/Berlin");
    }
}
