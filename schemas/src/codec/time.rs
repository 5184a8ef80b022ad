//! Converts times and dates between JSON text and numbers.

use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// 1970-01-01 as a day number from the first day of year 1.
const EPOCH: i32 = 719_163;

/// Parses a time as microseconds since 1970; finer digits are truncated.
pub(super) fn parse_micros(text: &str) -> Option<i64> {
    // The fast path: events hold times as `2026-03-03T12:17:50.808Z`. Chrono parses every other form.
    parse_plain_micros(text.as_bytes()).or_else(|| Some(text.parse::<DateTime<Utc>>().ok()?.timestamp_micros()))
}

/// Parses a date as days since 1970.
pub(super) fn parse_days(text: &str) -> Option<i32> {
    let date = match text.as_bytes() {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => parse_plain_date([*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2]),
        _ => None,
    };
    date.or_else(|| text.parse().ok()).map(|date| date.num_days_from_ce() - EPOCH)
}

/// The time of that many microseconds since 1970; `None` beyond the year 262,000.
pub(super) fn time_from_micros(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// The date of that many days since 1970; `None` beyond the year 262,000.
pub(super) fn date_from_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH)?)
}

fn parse_plain_micros(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, fraction @ .., b'Z'] =
        text
    else {
        return None;
    };
    let date = parse_plain_date([*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2])?;
    let (hour, minute, second) =
        (parse_two_digits(*h1, *h2)?, parse_two_digits(*n1, *n2)?, parse_two_digits(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = i64::from(date.num_days_from_ce() - EPOCH);
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    Some(seconds * 1_000_000 + parse_plain_fraction(fraction)?)
}

/// The microseconds of a fraction such as `.808`; 0 for an empty text.
fn parse_plain_fraction(text: &[u8]) -> Option<i64> {
    let [b'.', digits @ ..] = text else { return text.is_empty().then_some(0) };
    if digits.is_empty() {
        return None;
    }
    let mut micros = 0;
    let mut unit = 100_000;
    for digit in digits {
        micros += unit * i64::from(parse_digit(*digit)?);
        unit /= 10;
    }
    Some(micros)
}

fn parse_plain_date(digits: [u8; 8]) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, m1, m2, d1, d2] = digits;
    let year = parse_two_digits(y1, y2)? * 100 + parse_two_digits(y3, y4)?;
    NaiveDate::from_ymd_opt(year.cast_signed(), parse_two_digits(m1, m2)?, parse_two_digits(d1, d2)?)
}

fn parse_two_digits(tens: u8, ones: u8) -> Option<u32> {
    Some(parse_digit(tens)? * 10 + parse_digit(ones)?)
}

fn parse_digit(digit: u8) -> Option<u32> {
    digit.is_ascii_digit().then(|| u32::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_as_by_chrono() {
        for text in [
            "2026-03-03T12:17:50.808Z",
            "2026-03-03T12:17:50Z",
            "1969-12-31T23:59:59.999999Z",
            "0000-02-29T00:00:00.1Z",
            "2026-03-03T12:17:50.808123456Z",
            "2026-03-03T12:17:50+02:00",
            "-0044-03-15T12:00:00Z",
            "+12026-03-03T12:17:50Z",
            "2026-03-03 12:17:50Z",
            "1969-12-31T23:59:59.9999999Z",
        ] {
            let expected = text.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
            assert_eq!(parse_micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_time_or_date_is_none() {
        for text in ["", "2026-03-03", "2026-02-30T00:00:00Z", "2026-03-03T24:00:00Z", "2026-03-03T12:17:50.Z", "x"] {
            assert_eq!(parse_micros(text), None, "{text}");
        }
        for text in ["", "2026-02-30", "2026-03-03T12:00:00Z", "yesterday", "２026-01-01"] {
            assert_eq!(parse_days(text), None, "{text}");
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
