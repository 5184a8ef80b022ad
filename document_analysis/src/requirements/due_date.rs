//! Finds dates with time and zone in a sentence, in the formats that federal and state solicitations use.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use regex::{Captures, Regex};

/// How far from its date a time or a zone may stand, in bytes.
const REACH: usize = 70;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A date in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DatedPoint {
    /// Where it begins in the text, in bytes.
    pub(crate) start: usize,
    /// The date.
    pub(crate) date: NaiveDate,
    /// The time of day, if the text says one.
    pub(crate) time: Option<NaiveTime>,
    /// The time zone, if the text says one.
    pub(crate) zone: Option<Tz>,
}

impl DatedPoint {
    /// The point in time; `None` unless time and zone are known. `default_zone` applies where the text says none.
    pub(crate) fn to_utc(self, default_zone: Option<Tz>) -> Option<DateTime<Utc>> {
        let local = self.date.and_time(self.time?);
        Some(self.zone.or(default_zone)?.from_local_datetime(&local).earliest()?.to_utc())
    }
}

/// Finds dates in texts. A name such as `EST` stands for the time that applies in that zone on that date, as
/// solicitations use it in summer too.
pub(crate) struct DueDateParser {
    month_first: Regex,
    day_first: Regex,
    numeric: Regex,
    iso: Regex,
    clock_12: Regex,
    clock_24: Regex,
    noon: Regex,
    zones: Vec<(Regex, Tz)>,
    default_zone: Regex,
}

impl DueDateParser {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        let month = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";
        let zone = |names: &str, zone: Tz| Ok((Regex::new(&format!(r"\b(?:{names})\b"))?, zone));
        Ok(Self {
            month_first: Regex::new(&format!(
                r"(?i)\b{month}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<year>(?:19|20)\d\d)\b"
            ))?,
            day_first: Regex::new(&format!(
                r"(?i)\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s-]*(?:of\s+)?{month}[\s,-]*(?P<year>(?:19|20)\d\d)\b"
            ))?,
            numeric: Regex::new(r"\b(?P<month>\d{1,2})[/-](?P<day>\d{1,2})[/-](?P<year>(?:19|20)\d\d|\d\d)\b")?,
            iso: Regex::new(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b")?,
            clock_12: Regex::new(r"(?i)\b(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?\s*(?P<half>[ap])\.?\s?m\b")?,
            clock_24: Regex::new(
                r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)\b|\b(?P<hour4>[01]\d|2[0-3])(?P<minute4>[0-5]\d)\s*(?:hours|hrs|[ECMP][SD]?T\b)",
            )?,
            noon: Regex::new(r"(?i)\bnoon\b")?,
            zones: vec![
                zone(r"(?i:eastern|new york time|washington,? d\.?c\.? time)|E[SD]?T", Tz::America__New_York)?,
                zone(r"(?i:central)|C[SD]?T", Tz::America__Chicago)?,
                zone(r"(?i:mountain)|M[SD]?T", Tz::America__Denver)?,
                zone(r"(?i:pacific)|P[SD]?T", Tz::America__Los_Angeles)?,
                zone(r"(?i:alaska(?:n)?)|AK[SD]?T", Tz::America__Anchorage)?,
                zone(r"(?i:hawaii(?:an)?)|HA?ST", Tz::Pacific__Honolulu)?,
                zone(r"(?i:atlantic)|A[SD]T", Tz::America__Puerto_Rico)?,
                zone(r"(?i:greenwich|zulu|coordinated universal)|UTC|GMT", Tz::UTC)?,
            ],
            default_zone: Regex::new(r"(?i)\ball times (?:are|refer to|listed are|given are|stated are)\b")?,
        })
    }

    /// The dates of a text in order.
    pub(crate) fn find(&self, text: &str) -> Vec<DatedPoint> {
        let mut found: Vec<(usize, usize, NaiveDate)> = Vec::new();
        for pattern in [&self.month_first, &self.day_first, &self.iso, &self.numeric] {
            for captures in pattern.captures_iter(text) {
                let (Some(whole), Some(date)) = (captures.get(0), parse_date(&captures)) else { continue };
                if !found.iter().any(|(start, end, _)| whole.start() < *end && *start < whole.end()) {
                    found.push((whole.start(), whole.end(), date));
                }
            }
        }
        found.sort_unstable();
        let ends = [0].into_iter().chain(found.iter().map(|found| found.1));
        let starts = found.iter().skip(1).map(|found| found.0).chain([text.len()]);
        let points = found.iter().zip(ends.zip(starts)).map(|(&(start, end, date), (previous, next))| {
            let after = slice_near(text, end, next.min(end.saturating_add(REACH)));
            let before = slice_near(text, previous.max(start.saturating_sub(REACH)), start);
            let time = self.parse_time(after, true).or_else(|| self.parse_time(before, false));
            let zone = time.and_then(|_| self.parse_zone(after).or_else(|| self.parse_zone(before)));
            DatedPoint { start, date, time, zone }
        });
        points.collect()
    }

    /// Whether a text says a time of day with its zone, whatever the date.
    pub(crate) fn has_zoned_time(&self, text: &str) -> bool {
        self.parse_time(text, true).is_some() && self.parse_zone(text).is_some()
    }

    /// The zone of all times of a document, if the sentence says it, as in `All times are Alaska Prevailing Time`.
    pub(crate) fn find_default_zone(&self, sentence: &str) -> Option<Tz> {
        let found = self.default_zone.find(sentence)?;
        self.parse_zone(slice_near(sentence, found.end(), found.end().saturating_add(REACH)))
    }

    /// The first or the last time of day in a text. Midnight is none: it may be the beginning or the end of the date.
    fn parse_time(&self, text: &str, first: bool) -> Option<NaiveTime> {
        let mut found: Vec<(usize, NaiveTime)> = Vec::new();
        for captures in self.clock_12.captures_iter(text) {
            let (Some(whole), Some(hour)) = (captures.get(0), number(&captures, "hour")) else { continue };
            let is_afternoon = captures.name("half").is_some_and(|half| half.as_str().eq_ignore_ascii_case("p"));
            let hour = if (1..=12).contains(&hour) { hour % 12 + if is_afternoon { 12 } else { 0 } } else { 24 };
            let time = NaiveTime::from_hms_opt(hour, number(&captures, "minute").unwrap_or(0), 0);
            found.extend(time.map(|time| (whole.start(), time)));
        }
        let noon = NaiveTime::from_hms_opt(12, 0, 0);
        found.extend(self.noon.find(text).and_then(|word| Some((word.start(), noon?))));
        if found.is_empty() {
            for captures in self.clock_24.captures_iter(text) {
                let hour = number(&captures, "hour").or_else(|| number(&captures, "hour4"));
                let minute = number(&captures, "minute").or_else(|| number(&captures, "minute4"));
                let (Some(whole), Some(hour), Some(minute)) = (captures.get(0), hour, minute) else { continue };
                found.extend(NaiveTime::from_hms_opt(hour, minute, 0).map(|time| (whole.start(), time)));
            }
        }
        found.sort_unstable();
        let chosen = if first { found.first() } else { found.last() };
        chosen.map(|(_, time)| *time)
    }

    fn parse_zone(&self, text: &str) -> Option<Tz> {
        let named = self.zones.iter().filter_map(|(pattern, zone)| Some((pattern.find(text)?.start(), *zone)));
        named.min_by_key(|(start, _)| *start).map(|(_, zone)| zone)
    }
}

/// The part of a text between two positions, which are moved to the next character boundaries.
fn slice_near(text: &str, start: usize, end: usize) -> &str {
    let boundary =
        |position: usize| (position..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.get(boundary(start)..boundary(end)).unwrap_or_default()
}

fn number(captures: &Captures<'_>, name: &str) -> Option<u32> {
    captures.name(name)?.as_str().parse().ok()
}

fn parse_date(captures: &Captures<'_>) -> Option<NaiveDate> {
    let year: i32 = captures.name("year")?.as_str().parse().ok()?;
    let year = if year < 100 { year + 2_000 } else { year };
    let month = captures.name("month")?.as_str();
    let month = month.parse().ok().or_else(|| {
        let name = month.get(..3)?.to_lowercase();
        u32::try_from(MONTHS.iter().position(|known| *known == name)?).ok().map(|index| index + 1)
    })?;
    NaiveDate::from_ymd_opt(year, month, number(captures, "day")?)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Compiled once for all tests.
    static PARSER: LazyLock<DueDateParser> = LazyLock::new(|| DueDateParser::new().unwrap());

    fn due(text: &str) -> String {
        let points = PARSER.find(text);
        assert_eq!(points.len(), 1, "{text}: {points:?}");
        points[0].to_utc(None).map_or_else(|| format!("{} unresolved", points[0].date), |due| due.to_rfc3339())
    }

    #[test]
    fn dates_of_many_formats_are_resolved_in_their_zones() {
        for (text, expected) in [
            ("RFQ Questions April 30, 2020 at noon, eastern Google Form", "2020-04-30T16:00:00+00:00"),
            ("no later than 4:00 pm Alaska Prevailing Time on 3/26/2021.", "2021-03-27T00:00:00+00:00"),
            ("no later than 4pm AKST on 3/1/2021, to allow", "2021-03-02T01:00:00+00:00"),
            ("Offers are due by 2:00 P.M. (EST) on July 5th, 2024", "2024-07-05T18:00:00+00:00"),
            ("due 15 January 2025 at 1400 hours Central Time", "2025-01-15T20:00:00+00:00"),
            ("due 15-JAN-2025, 14:00 PST", "2025-01-15T22:00:00+00:00"),
            ("Responses by 2025-03-01 23:59 UTC", "2025-03-01T23:59:00+00:00"),
            ("by 03/01/25 10:30 a.m. Mountain Standard Time", "2025-03-01T17:30:00+00:00"),
            ("on Dec. 1, 2025 at 5 pm HST", "2025-12-02T03:00:00+00:00"),
            ("by September 3, 2020", "2020-09-03 unresolved"),
            ("by September 3, 2020 at 3 pm local time", "2020-09-03 unresolved"),
            ("by midnight Eastern on May 5, 2020", "2020-05-05 unresolved"),
        ] {
            assert_eq!(due(text), expected, "{text}");
        }
    }

    #[test]
    fn each_date_has_the_time_next_to_it() {
        let found = PARSER.find("Questions: May 1, 2020 at 9 am ET; offers: May 9, 2020 at 3 pm CT.");
        let resolved: Vec<_> = found.iter().map(|point| point.to_utc(None).unwrap().to_rfc3339()).collect();
        assert_eq!(resolved, ["2020-05-01T13:00:00+00:00", "2020-05-09T20:00:00+00:00"]);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["FAR 52.212-4 and 1/2 inch", "13/45/2020", "February 30, 2020", "May 2020", "SIN 132-51", "é 2020"]
        {
            assert_eq!(PARSER.find(text), [], "{text}");
        }
    }

    #[test]
    fn the_zone_of_the_document_applies_where_none_is_said() {
        let zone = PARSER.find_default_zone("All times are Alaska Prevailing Time.");
        assert_eq!(zone, Some(Tz::America__Anchorage));
        let point = PARSER.find("Deadline for receipt of questions on 3/1/2021 by 4pm")[0];
        assert_eq!(point.to_utc(zone).unwrap().to_rfc3339(), "2021-03-02T01:00:00+00:00");
        assert_eq!(PARSER.find_default_zone("All times are local."), None);
    }
}
