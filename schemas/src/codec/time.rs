//! Converts times and dates between JSON text and numbers.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::time_text;

/// 1970-01-01 as a day number from the first day of year 1.
const EPOCH: i32 = 719_163;

/// Parses a time as microseconds since 1970; finer digits are truncated.
pub(super) fn parse_micros(text: &str) -> Option<i64> {
    time_text::parse_time(text).map(|time| time.timestamp_micros())
}

/// Parses a date as days since 1970.
pub(super) fn parse_days(text: &str) -> Option<i32> {
    time_text::parse_date(text).map(|date| date.num_days_from_ce() - EPOCH)
}

/// The time of that many microseconds since 1970; `None` beyond the year 262,000.
pub(super) fn time_from_micros(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// The date of that many days since 1970; `None` beyond the year 262,000.
pub(super) fn date_from_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_truncated_to_microseconds() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00.0000019+01:00", 1),
            ("1969-12-31T23:59:59.9999999Z", -1),
        ] {
            assert_eq!(parse_micros(text), Some(micros), "{text}");
        }
    }

    #[test]
    fn dates_of_any_year_are_parsed_and_formatted() {
        for text in ["2026-03-01", "1969-12-31", "+20226-03-01", "-0001-01-01"] {
            assert_eq!(date_from_days(parse_days(text).unwrap()).unwrap().to_string(), text);
        }
        assert_eq!((date_from_days(i32::MAX), date_from_days(i32::MIN)), (None, None));
    }
}
