//! Parses the dates of notices in all published forms.
//!
//! `2026-03-03T07:17:50-05:00`, `2026-03-03 07:17:50.808-05`, `2026-03-27T03:00:00`, `2026-03-16`. A time without an
//! offset is UTC, and a bare date is midnight UTC: SAM.gov does not state their time zone, and a fixed rule gives the
//! same instant for the same text everywhere. Spreadsheets write dates as `3/3/2026 7:17`, month first, also with `AM`
//! or `PM`.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::{
    clock::{Clock, SystemClock},
    value::STORABLE_YEARS,
};

/// Maximum offset from UTC, in hours. No time zone has a larger one.
const MAX_OFFSET_HOURS: u32 = 18;

/// Parses an instant; `None` if the text is not one between the years 1900 and 2299.
pub fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    parse_date_time(text).map(|(_, instant)| instant)
}

/// Parses a day as written: the offset does not change it.
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    parse_date_time(text).map(|(day, _)| day)
}

fn parse_date_time(text: &str) -> Option<(NaiveDate, DateTime<Utc>)> {
    let mut scanner = DateScanner(text.trim().as_bytes());
    let is_american = scanner.0.iter().take(3).any(|byte| *byte == b'/');
    let date = if is_american { scanner.scan_american_date()? } else { scanner.scan_date()? };
    let (time, offset) = match scanner.0 {
        [] => (NaiveTime::MIN, TimeDelta::zero()),
        _ if is_american => (scanner.scan_clock_time()?, TimeDelta::zero()),
        _ => scanner.scan_time_of_day()?,
    };
    let instant = date.and_time(time).and_utc().checked_sub_signed(offset)?;
    let is_valid =
        scanner.0.is_empty() && STORABLE_YEARS.contains(&date.year()) && STORABLE_YEARS.contains(&instant.year());
    is_valid.then_some((date, instant))
}

/// Today in UTC.
pub fn today() -> NaiveDate {
    SystemClock.now().date_naive()
}

/// The text that is not parsed yet.
struct DateScanner<'a>(&'a [u8]);

impl DateScanner<'_> {
    fn scan_date(&mut self) -> Option<NaiveDate> {
        let year = self.scan_number(4)?;
        self.scan_one_of(b"-")?;
        let month = self.scan_number(2)?;
        self.scan_one_of(b"-")?;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, self.scan_number(2)?)
    }

    /// `3/16/2026`: the month first.
    fn scan_american_date(&mut self) -> Option<NaiveDate> {
        let month = self.scan_short_number()?;
        self.scan_one_of(b"/")?;
        let day = self.scan_short_number()?;
        self.scan_one_of(b"/")?;
        NaiveDate::from_ymd_opt(i32::try_from(self.scan_number(4)?).ok()?, month, day)
    }

    /// ` 7:17`, ` 07:17:50`, ` 7:17 PM`.
    fn scan_clock_time(&mut self) -> Option<NaiveTime> {
        self.scan_one_of(b" ")?;
        let hour = self.scan_short_number()?;
        self.scan_one_of(b":")?;
        let minute = self.scan_number(2)?;
        let (second, nanos) = match self.scan_one_of(b":") {
            Some(_) => (self.scan_number(2)?, self.scan_fraction()?),
            None => (0, 0),
        };
        let period = std::mem::take(&mut self.0).trim_ascii().to_ascii_uppercase();
        let hour = match (period.as_slice(), hour) {
            (b"", hour) => hour,
            (b"AM", 12) => 0,
            (b"AM", 1..12) | (b"PM", 12) => hour,
            (b"PM", 1..12) => hour + 12,
            _ => return None,
        };
        NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
    }

    /// One or two digits.
    fn scan_short_number(&mut self) -> Option<u32> {
        let digits = self.0.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 { None } else { self.scan_number(digits) }
    }

    fn scan_time_of_day(&mut self) -> Option<(NaiveTime, TimeDelta)> {
        self.scan_one_of(b"Tt ")?;
        let hour = self.scan_number(2)?;
        self.scan_one_of(b":")?;
        let minute = self.scan_number(2)?;
        let (second, nanos) = match self.scan_one_of(b":") {
            Some(_) => (self.scan_number(2)?, self.scan_fraction()?),
            None => (0, 0),
        };
        Some((NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?, self.scan_offset()?))
    }

    /// Up to nine digits after a point, as nanoseconds.
    fn scan_fraction(&mut self) -> Option<u32> {
        if self.scan_one_of(b".").is_none() {
            return Some(0);
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let missing = u32::try_from(9_usize.checked_sub(digits)?).ok()?;
        Some(self.scan_number(digits)? * 10_u32.pow(missing))
    }

    /// `Z`, `-05`, `-0500`, `-05:00`, or nothing.
    fn scan_offset(&mut self) -> Option<TimeDelta> {
        let sign = match self.scan_one_of(b"Zz+-") {
            None | Some(b'Z' | b'z') => return Some(TimeDelta::zero()),
            Some(b'-') => -1,
            Some(_) => 1,
        };
        let hours = self.scan_number(2).filter(|hours| *hours <= MAX_OFFSET_HOURS)?;
        let minutes = match self.scan_one_of(b":") {
            None if self.0.is_empty() => 0,
            _ => self.scan_number(2).filter(|minutes| *minutes < 60)?,
        };
        Some(TimeDelta::minutes(sign * i64::from(hours * 60 + minutes)))
    }

    fn scan_number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0_u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    }

    fn scan_one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        accepted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::SubsecRound;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{RngCore, SeedableRng},
    };

    use super::*;

    fn format_instant(text: &str) -> String {
        parse_instant(text).map(|instant| instant.to_rfc3339()).unwrap_or_default()
    }

    #[test]
    fn dates_are_parsed_in_the_forms_of_notices() {
        for (text, expected) in [
            ("2026-03-03 07:17:50.808-05", "2026-03-03T12:17:50.808+00:00"),
            ("2026-03-03 09:37:45.63-05", "2026-03-03T14:37:45.630+00:00"),
            ("2026-03-03 08:05:54.5-05", "2026-03-03T13:05:54.500+00:00"),
            ("2026-03-05 09:46:29-05", "2026-03-05T14:46:29+00:00"),
            ("2026-03-04T11:12:13-05:00", "2026-03-04T16:12:13+00:00"),
            ("2026-03-25T16:00:00+03:00", "2026-03-25T13:00:00+00:00"),
            ("2026-03-27T03:00:00", "2026-03-27T03:00:00+00:00"),
            ("2026-03-16", "2026-03-16T00:00:00+00:00"),
            (" 2026-03-16t10:20z ", "2026-03-16T10:20:00+00:00"),
            ("3/3/2026 7:17", "2026-03-03T07:17:00+00:00"),
            ("03/16/2026", "2026-03-16T00:00:00+00:00"),
            ("12/31/2026 23:59:59", "2026-12-31T23:59:59+00:00"),
            ("3/3/2026 12:05 am", "2026-03-03T00:05:00+00:00"),
            ("3/3/2026 7:17:01 PM", "2026-03-03T19:17:01+00:00"),
            ("2026-03-16T10:20:30.123456789+0530", "2026-03-16T04:50:30.123456789+00:00"),
        ] {
            assert_eq!(format_instant(text), expected, "{text}");
        }
    }

    #[test]
    fn texts_that_are_not_dates_are_rejected() {
        for text in [
            "",
            "2026",
            "2026-3-3",
            "2026-02-30",
            "16/03/2026",
            "3/3/26",
            "3/3/2026 7",
            "3/3/2026 13:00 PM",
            "3/3/2026 0:00 AM",
            "3/3/2026 7:17 EST",
            "3/3/2300",
            "2026-03-16T",
            "2026-03-16T25:00:00",
            "2026-03-16T10",
            "2026-03-16 10:20:30-5",
            "2026-03-16 10:20:30-05:",
            "2026-03-16 10:20:30-99",
            "2026-03-16 10:20:30 EST",
            "2026-03-16 10:20:30.1234567890",
            "1899-12-31",
            "2300-01-01",
            "2299-12-31T23:00:00-05",
            "２026-03-16",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_the_day_as_written() {
        assert_eq!(parse_day("2026-03-16T23:00:00-05:00"), NaiveDate::from_ymd_opt(2026, 3, 16));
        assert_eq!(parse_day("2026-03-16"), NaiveDate::from_ymd_opt(2026, 3, 16));
    }

    #[test]
    fn every_instant_is_parsed_from_every_form() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..5_000 {
            let seconds = i64::from(random.next_u32()) * 2 - 1_000_000_000;
            let nanos = random.next_u32() % 1_000_000_000;
            let instant = DateTime::from_timestamp(seconds, nanos).unwrap();
            for digits in 0..=9_u16 {
                let instant = instant.trunc_subsecs(digits);
                assert_every_form_is_parsed(instant, usize::from(digits), i64::from(random.next_u32() % 27) - 12);
            }
        }
    }

    fn assert_every_form_is_parsed(instant: DateTime<Utc>, digits: usize, hours: i64) {
        let local = (instant + TimeDelta::hours(hours)).naive_utc();
        let nanos = format!("{:09}", instant.timestamp_subsec_nanos());
        let fraction = if digits == 0 { String::new() } else { format!(".{}", &nanos[..digits]) };
        for (separator, offset) in
            [('T', format!("{hours:+03}:00")), ('T', format!("{hours:+03}00")), (' ', format!("{hours:+03}"))]
        {
            let text = format!("{}{separator}{}{fraction}{offset}", local.date(), local.format("%H:%M:%S"));
            assert_eq!(parse_instant(&text), Some(instant), "{text}");
        }
        let utc = instant.naive_utc();
        let bare = format!("{} {}{fraction}", utc.date(), utc.format("%H:%M:%S"));
        assert_eq!(parse_instant(&bare), Some(instant), "{bare}");
        assert_eq!(parse_instant(&format!("{bare}Z")), Some(instant), "{bare}Z");
        let midnight = utc.date().and_time(NaiveTime::MIN).and_utc();
        assert_eq!(parse_instant(&utc.date().to_string()), Some(midnight));
    }
}
