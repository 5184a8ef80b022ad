//! Reads and writes times and dates in the form in which events hold them, e.g. `2026-03-03T12:17:50.808Z`.
//!
//! An event has several of them, and `chrono` handles each by a general format. Any other form is left to `chrono`, so
//! that values, texts and errors are the same.

use std::{fmt, fmt::Write as _, marker::PhantomData, str::FromStr};

use chrono::{DateTime, Datelike, NaiveDate, ParseError, SecondsFormat, Timelike, Utc};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// Nanoseconds of a second; `chrono` counts a leap second beyond them.
const SECOND_NANOS: u32 = 1_000_000_000;

/// The plain form of a time. Its first ten characters are that of a date.
const PLAIN_TIME: [u8; 30] = *b"0000-00-00T00:00:00.000000000Z";

/// Parses a time; `None` if the text is none.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    parse_text(text).ok()
}

/// Parses a date; `None` if the text is none.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    parse_text(text).ok()
}

/// Appends a time as `chrono` serializes it: with a fraction of no, three, six or nine digits.
pub fn write_time(time: DateTime<Utc>, into: &mut String) {
    match time.format_plain() {
        Some(text) => into.push_str(text.as_str()),
        None => {
            // Writing to a string never fails.
            let _ = write!(into, "{time:?}");
        }
    }
}

/// Appends a time with a fraction of six digits; finer ones are truncated.
pub fn write_time_micros(time: DateTime<Utc>, into: &mut String) {
    match format_time(time, 26) {
        Some(text) => into.push_str(text.as_str()),
        None => into.push_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
    }
}

/// Appends a date as `chrono` serializes it.
pub fn write_date(date: NaiveDate, into: &mut String) {
    match date.format_plain() {
        Some(text) => into.push_str(text.as_str()),
        None => {
            let _ = write!(into, "{date:?}");
        }
    }
}

/// Serializes a time as `chrono` does.
///
/// # Errors
/// The error of the format.
pub fn serialize_time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    PlainText(*time).serialize(serializer)
}

/// Serializes a time or null as `chrono` does.
///
/// # Errors
/// The error of the format.
pub fn serialize_optional_time<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(PlainText).serialize(serializer)
}

/// Serializes a date or null as `chrono` does.
///
/// # Errors
/// The error of the format.
pub fn serialize_optional_date<S: Serializer>(date: &Option<NaiveDate>, serializer: S) -> Result<S::Ok, S::Error> {
    date.map(PlainText).serialize(serializer)
}

/// Deserializes a time.
///
/// # Errors
/// The error of the format when the value is no text or no time.
pub fn deserialize_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    PlainText::deserialize(deserializer).map(|text| text.0)
}

/// Deserializes a time or null.
///
/// # Errors
/// As [`deserialize_time`].
pub fn deserialize_optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::<PlainText<_>>::deserialize(deserializer)?.map(|text| text.0))
}

/// Deserializes a date or null.
///
/// # Errors
/// The error of the format when the value is no text or no date.
pub fn deserialize_optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    Ok(Option::<PlainText<_>>::deserialize(deserializer)?.map(|text| text.0))
}

/// A value with a plain form, the one that `chrono` writes; `chrono` also parses others.
trait PlainForm: FromStr<Err = ParseError> + Serialize {
    /// What `chrono` says that it expects, in errors about a value of another type.
    const EXPECTED: &'static str;

    /// Parses the plain form; `None` for any other.
    fn parse_plain(text: &[u8]) -> Option<Self>;

    /// The plain form, which is the one that `chrono` serializes; `None` if it cannot state the value.
    fn format_plain(&self) -> Option<AsciiText>;
}

impl PlainForm for DateTime<Utc> {
    const EXPECTED: &'static str = "an RFC 3339 formatted date and time string";

    fn parse_plain(text: &[u8]) -> Option<Self> {
        let (date, time) = text.split_at_checked(10)?;
        let [b'T', h1, h2, b':', m1, m2, b':', s1, s2, fraction @ .., b'Z'] = time else { return None };
        let (hour, minute, second) =
            (parse_two_digits(*h1, *h2)?, parse_two_digits(*m1, *m2)?, parse_two_digits(*s1, *s2)?);
        // `chrono` knows the leap second 60; here it is out of range.
        let time = NaiveDate::parse_plain(date)?.and_hms_nano_opt(hour, minute, second, parse_nanos(fraction)?)?;
        Some(time.and_utc())
    }

    fn format_plain(&self) -> Option<AsciiText> {
        let length = match self.nanosecond() {
            0 => 19,
            nanos if nanos % 1_000_000 == 0 => 23,
            nanos if nanos % 1_000 == 0 => 26,
            _ => 29,
        };
        format_time(*self, length)
    }
}

impl PlainForm for NaiveDate {
    const EXPECTED: &'static str = "a formatted date string";

    fn parse_plain(text: &[u8]) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
        let year = parse_two_digits(*y1, *y2)? * 100 + parse_two_digits(*y3, *y4)?;
        Self::from_ymd_opt(year.cast_signed(), parse_two_digits(*m1, *m2)?, parse_two_digits(*d1, *d2)?)
    }

    fn format_plain(&self) -> Option<AsciiText> {
        let mut text = AsciiText { characters: PLAIN_TIME, length: 10 };
        text.put_date(self)?;
        Some(text)
    }
}

/// A text that is written without an allocation; the longest is a time with nanoseconds.
struct AsciiText {
    characters: [u8; PLAIN_TIME.len()],
    length: usize,
}

impl AsciiText {
    fn as_str(&self) -> &str {
        let text = self.characters.get(..self.length).map(std::str::from_utf8);
        text.and_then(Result::ok).unwrap_or_default()
    }

    /// Writes a date to the front; `None` if its year has more than four digits.
    fn put_date(&mut self, date: &impl Datelike) -> Option<()> {
        let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9_999)?;
        put_digits(&mut self.characters[..4], year);
        put_digits(&mut self.characters[5..7], date.month());
        put_digits(&mut self.characters[8..10], date.day());
        Some(())
    }
}

/// The first `length` characters of a time in its plain form and a `Z`; `None` if the plain form cannot state it.
fn format_time(time: DateTime<Utc>, length: usize) -> Option<AsciiText> {
    let nanos = Some(time.nanosecond()).filter(|nanos| *nanos < SECOND_NANOS)?;
    let mut text = AsciiText { characters: PLAIN_TIME, length: length + 1 };
    text.put_date(&time)?;
    put_digits(&mut text.characters[11..13], time.hour());
    put_digits(&mut text.characters[14..16], time.minute());
    put_digits(&mut text.characters[17..19], time.second());
    put_digits(&mut text.characters[20..29], nanos);
    text.characters[length] = b'Z';
    Some(text)
}

fn parse_text<T: PlainForm>(text: &str) -> Result<T, ParseError> {
    match T::parse_plain(text.as_bytes()) {
        Some(value) => Ok(value),
        None => text.parse(),
    }
}

/// The nanoseconds of a fraction such as `.808`; 0 for an empty text.
fn parse_nanos(text: &[u8]) -> Option<u32> {
    let [b'.', digits @ ..] = text else { return text.is_empty().then_some(0) };
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let (mut nanos, mut unit) = (0, SECOND_NANOS / 10);
    for digit in digits {
        nanos += unit * parse_digit(*digit)?;
        unit /= 10;
    }
    Some(nanos)
}

fn parse_two_digits(tens: u8, ones: u8) -> Option<u32> {
    Some(parse_digit(tens)? * 10 + parse_digit(ones)?)
}

fn parse_digit(digit: u8) -> Option<u32> {
    digit.is_ascii_digit().then(|| u32::from(digit - b'0'))
}

/// Writes the last digits of a number, as many as there is room for.
fn put_digits(text: &mut [u8], number: u32) {
    let mut rest = number;
    for place in text.iter_mut().rev() {
        // A remainder of a division by ten is one digit.
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

/// A value that is serialized as its text.
struct PlainText<T>(T);

impl<T: PlainForm> Serialize for PlainText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.format_plain() {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => self.0.serialize(serializer),
        }
    }
}

impl<'de, T: PlainForm> Deserialize<'de> for PlainText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PlainTextVisitor(PhantomData)).map(Self)
    }
}

struct PlainTextVisitor<T>(PhantomData<T>);

impl<T: PlainForm> Visitor<'_> for PlainTextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        parse_text(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct OptionalTimes {
        #[serde(serialize_with = "serialize_optional_time", deserialize_with = "deserialize_optional_time")]
        at: Option<DateTime<Utc>>,
        #[serde(default, serialize_with = "serialize_optional_date", deserialize_with = "deserialize_optional_date")]
        day: Option<NaiveDate>,
    }

    #[test]
    fn times_are_parsed_as_by_chrono() {
        for text in [
            "2026-03-03T12:17:50.808Z",
            "2026-03-03T12:17:50Z",
            "1969-12-31T23:59:59.999999Z",
            "0000-02-29T00:00:00.1Z",
            "2026-03-03T12:17:50.808123456Z",
            "2026-03-03T12:17:50.8081234567Z",
            "2016-12-31T23:59:60.5Z",
            "2026-03-03T12:17:50+02:00",
            "-0044-03-15T12:00:00Z",
            "+12026-03-03T12:17:50Z",
            "2026-03-03 12:17:50Z",
        ] {
            assert_eq!(parse_time(text), Some(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_date_is_none() {
        for text in ["", "2026-03-03", "2026-02-30T00:00:00Z", "2026-03-03T24:00:00Z", "2026-03-03T12:17:50.Z", "é"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        for text in ["", "2026-02-30", "2026-03-03T12:00:00Z", "yesterday", "２026-01-01"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn null_and_absent_values_are_none_and_others_have_the_errors_of_chrono() {
        let times: OptionalTimes = serde_json::from_str(r#"{"at":null}"#).unwrap();
        assert_eq!((times.at, times.day), (None, None));
        assert_eq!(serde_json::to_string(&times).unwrap(), r#"{"at":null,"day":null}"#);
        let times: OptionalTimes = serde_json::from_str(r#"{"at":"2026-03-03T12:17:50Z","day":"2026-03-01"}"#).unwrap();
        assert_eq!(times.at.map(|at| at.to_string()).as_deref(), Some("2026-03-03 12:17:50 UTC"));
        assert_eq!(times.day, NaiveDate::from_ymd_opt(2026, 3, 1));
        for text in [r#"{"at":7}"#, r#"{"at":"soon"}"#] {
            let ours = serde_json::from_str::<OptionalTimes>(text).map(drop).unwrap_err().to_string();
            let value = text.trim_start_matches(r#"{"at":"#).trim_end_matches('}');
            let theirs = serde_json::from_str::<DateTime<Utc>>(value).unwrap_err().to_string();
            assert_eq!(ours.split(" at line").next(), theirs.split(" at line").next());
        }
    }

    proptest! {
        #[test]
        fn texts_are_those_that_chrono_serializes_and_are_parsed_back(
            seconds in -70_000_000_000_i64..300_000_000_000,
            nanos in prop_oneof![Just(0), (0_u32..1_000).prop_map(|millis| millis * 1_000_000), 0..SECOND_NANOS],
        ) {
            let time = DateTime::from_timestamp(seconds, nanos).unwrap();
            let (mut written, mut micros, mut day) = (String::new(), String::new(), String::new());
            write_time(time, &mut written);
            write_time_micros(time, &mut micros);
            write_date(time.date_naive(), &mut day);
            prop_assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{written}\""));
            prop_assert_eq!(serde_json::to_string(&PlainText(time)).unwrap(), format!("\"{written}\""));
            prop_assert_eq!(serde_json::to_string(&time.date_naive()).unwrap(), format!("\"{day}\""));
            prop_assert_eq!(serde_json::to_string(&PlainText(time.date_naive())).unwrap(), format!("\"{day}\""));
            prop_assert_eq!(micros, time.to_rfc3339_opts(SecondsFormat::Micros, true));
            prop_assert_eq!((parse_time(&written), parse_date(&day)), (Some(time), Some(time.date_naive())));
        }
    }
}
