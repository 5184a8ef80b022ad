//! Dates that every store can hold.
//!
//! The log holds any date; the columns of `ClickHouse` hold the years 1900 to 2299 and return another date for anything
//! outside. So that all stores agree, every edge rejects such dates.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::InvalidValue;

/// The years of accepted dates.
pub const STORABLE_YEARS: RangeInclusive<i32> = 1900..=2299;

/// Returns the time if all stores can hold it.
///
/// # Errors
/// [`InvalidValue::Malformed`] for a time outside of [`STORABLE_YEARS`].
pub fn ensure_storable_time(time: DateTime<Utc>) -> Result<DateTime<Utc>, InvalidValue> {
    if STORABLE_YEARS.contains(&time.year()) {
        return Ok(time);
    }
    Err(InvalidValue::malformed("time", &time.to_rfc3339(), "between the years 1900 and 2299"))
}

/// Returns the day if all stores can hold it.
///
/// # Errors
/// [`InvalidValue::Malformed`] for a day outside of [`STORABLE_YEARS`].
pub fn ensure_storable_day(day: NaiveDate) -> Result<NaiveDate, InvalidValue> {
    if STORABLE_YEARS.contains(&day.year()) {
        return Ok(day);
    }
    Err(InvalidValue::malformed("day", &day.to_string(), "between the years 1900 and 2299"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_from_1900_to_2299_are_accepted() {
        for (text, accepted) in [
            ("0001-01-01T00:00:00Z", false),
            ("1899-12-31T23:59:59.999999Z", false),
            ("1900-01-01T00:00:00Z", true),
            ("2299-12-31T23:59:59.999999Z", true),
            ("2300-01-01T00:00:00Z", false),
            ("9999-12-31T23:59:59Z", false),
        ] {
            let time: DateTime<Utc> = text.parse().unwrap();
            assert_eq!(ensure_storable_time(time).is_ok(), accepted, "{text}");
            assert_eq!(ensure_storable_day(time.date_naive()).is_ok(), accepted, "{text}");
        }
    }
}
