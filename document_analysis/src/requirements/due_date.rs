//! Finds dates with time and zone in a sentence, in the formats that federal and state solicitations use.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use regex::{Captures, Regex};

use super::time_zone::TimeZoneParser;

/// How far from its date a time may stand, in bytes.
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

/// Finds dates in texts. A name such as `EST` means the time that applies in that zone on that date, since
/// solicitations use it in summer, too.
pub(crate) struct DueDateParser {
    month_first: Regex,
    day_first: Regex,
    numeric: Regex,
    iso: Regex,
    clock_12: Regex,
    clock_24: Regex,
    noon: Regex,
    /// Words that may stand between a time and its date.
    connection: Regex,
    /// Words and marks that begin another statement.
    clause_boundary: Regex,
    zones: TimeZoneParser,
    default_zone: Regex,
}

/// A time of day in a text.
#[derive(Debug, Clone, Copy)]
struct ClockTime {
    start: usize,
    end: usize,
    time: NaiveTime,
}

impl DueDateParser {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        let month = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?";
        Ok(Self {
            month_first: Regex::new(&format!(
                r"(?i)\b{month}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<year>(?:19|20)\d\d)\b"
            ))?,
            day_first: Regex::new(&format!(
                r"(?i)\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s-]*(?:of\s+)?{month}[\s,-]*(?P<year>(?:19|20)\d\d)\b"
            ))?,
            numeric: Regex::new(r"\b(?P<month>\d{1,2})[/-](?P<day>\d{1,2})[/-](?P<year>(?:19|20)\d\d|\d\d)\b")?,
            iso: Regex::new(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b")?,
            clock_12: Regex::new(
                r"(?i)\b(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d)(?::\d\d)?)?\s*(?P<half>[ap])\.?\s?m\b",
            )?,
            clock_24: Regex::new(
                r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::[0-5]\d)?\b|\b(?P<hour4>[01]\d|2[0-3])(?P<minute4>[0-5]\d)\s*(?:hours|hrs|[ECMP][SD]?T\b)",
            )?,
            noon: Regex::new(r"(?i)\b(?:12(?::00)?\s+)?noon\b")?,
            connection: Regex::new(
                r"(?i)^(?:[^\w;]|\b(?:at|on|of|by|before|until|from|no|not|later|than|nlt|the|is|local|prevailing|standard|daylight|time|hours|hrs|eastern|central|mountain|pacific|alaska|hawaii|atlantic|[ecmp][sd]?t|ak[sd]?t|hst|utc|gmt|(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|tue|tues|wed|thu|thurs|fri|sat|sun))\b)*$",
            )?,
            clause_boundary: Regex::new(r"(?i);|\b(?:and|or|but|while|whereas)\b")?,
            zones: TimeZoneParser::new()?,
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
        let (mut times, mut points, mut used_until) = (self.find_times(text), Vec::new(), 0);
        // `2025 ET` after a month is a year.
        times.retain(|clock| !found.iter().any(|(start, end, _)| clock.start < *end && *start < clock.end));
        for (index, &(start, end, date)) in found.iter().enumerate() {
            let next = found.get(index + 1).map_or(text.len(), |next| next.0);
            let clock = self.choose_time(text, &times, used_until..next, start..end);
            let zone = clock.and_then(|clock| {
                let after_date =
                    || if clock.end <= start { self.zones.find_after_date(text.get(end..)?) } else { None };
                self.zones.find_after_time(text.get(clock.end..)?).or_else(after_date)
            });
            points.push(DatedPoint { start, date, time: clock.map(|clock| clock.time), zone });
            used_until = clock.map_or(end, |clock| clock.end.max(end));
        }
        points
    }

    /// The time that belongs to the date at `date`, among those within `reach`. Of the times next to the date, the one
    /// after it precedes the one before it. A time at a distance belongs to the date if no other statement begins
    /// between them, and if it is not next to the following date.
    fn choose_time(
        &self,
        text: &str,
        times: &[ClockTime],
        reach: Range<usize>,
        date: Range<usize>,
    ) -> Option<ClockTime> {
        let between = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let is_joined = |gap: &str| !self.clause_boundary.is_match(gap);
        let after = times.iter().copied().find(|clock| clock.start >= date.end).filter(|clock| {
            clock.end <= reach.end.min(date.end.saturating_add(REACH)) && is_joined(between(date.end, clock.start))
        });
        let before = times.iter().copied().rfind(|clock| clock.end <= date.start).filter(|clock| {
            clock.start >= reach.start.max(date.start.saturating_sub(REACH))
                && is_joined(between(clock.end, date.start))
        });
        let is_next_to = |gap: &str| self.connection.is_match(gap);
        let adjacent_after = after.filter(|clock| is_next_to(between(date.end, clock.start)));
        let adjacent_before = before.filter(|clock| is_next_to(between(clock.end, date.start)));
        let is_of_next = |clock: &ClockTime| reach.end < text.len() && is_next_to(between(clock.end, reach.end));
        adjacent_after.or(adjacent_before).or(after.filter(|clock| !is_of_next(clock))).or(before)
    }

    /// Whether a text has a time of day with its zone, on any date.
    pub(crate) fn has_zoned_time(&self, text: &str) -> bool {
        let mut after = self.find_times(text).into_iter().filter_map(|clock| text.get(clock.end..));
        after.any(|after| self.zones.find_after_time(after).is_some())
    }

    /// The zone of all times of a document, if the sentence says it, as in `All times are Alaska Prevailing Time`.
    pub(crate) fn find_default_zone(&self, sentence: &str) -> Option<Tz> {
        let found = self.default_zone.find(sentence)?;
        self.zones.find_anywhere(slice_near(sentence, found.end(), found.end().saturating_add(REACH)))
    }

    /// The times of day in a text in order. Midnight is none: it may be the beginning or the end of the date.
    fn find_times(&self, text: &str) -> Vec<ClockTime> {
        let mut found: Vec<ClockTime> = Vec::new();
        for captures in self.clock_12.captures_iter(text) {
            let (Some(whole), Some(hour)) = (captures.get(0), number(&captures, "hour")) else { continue };
            let is_afternoon = captures.name("half").is_some_and(|half| half.as_str().eq_ignore_ascii_case("p"));
            let hour = if (1..=12).contains(&hour) { hour % 12 + if is_afternoon { 12 } else { 0 } } else { 24 };
            found.extend(clock_time(whole.range(), hour, number(&captures, "minute").unwrap_or(0)));
        }
        found.extend(self.noon.find_iter(text).filter_map(|noon| clock_time(noon.range(), 12, 0)));
        if found.is_empty() {
            for captures in self.clock_24.captures_iter(text) {
                let hour = number(&captures, "hour").or_else(|| number(&captures, "hour4"));
                let minute = number(&captures, "minute").or_else(|| number(&captures, "minute4"));
                let (Some(whole), Some(hour), Some(minute)) = (captures.get(0), hour, minute) else { continue };
                // The zone after four digits is not a part of the time.
                let end = captures.name("minute4").map_or(whole.end(), |digits| digits.end());
                found.extend(clock_time(whole.start()..end, hour, minute));
            }
        }
        found.sort_unstable_by_key(|clock| clock.start);
        found
    }
}

fn clock_time(position: Range<usize>, hour: u32, minute: u32) -> Option<ClockTime> {
    let time = NaiveTime::from_hms_opt(hour, minute, 0)?;
    Some(ClockTime { start: position.start, end: position.end, time })
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
    fn no_time_of_another_date_and_no_place_is_taken() {
        for (text, expected) in [
            (
                "2:00 PM EST on May 5, 2020 at VA Medical Center, West Haven, CT 06516",
                vec!["2020-05-05T18:00:00+00:00"],
            ),
            (
                "A site visit is on May 1, 2020 at 9 am ET; offers are due May 9, 2020.",
                vec!["2020-05-01T13:00:00+00:00", "2020-05-09 unresolved"],
            ),
            (
                "Due no later than 2 pm ET on May 5, 2020; questions by noon CT on April 20, 2020.",
                vec!["2020-05-05T18:00:00+00:00", "2020-04-20T17:00:00+00:00"],
            ),
            (
                "Questions by May 1, 2020, offers by 3 pm ET on May 9, 2020",
                vec!["2020-05-01 unresolved", "2020-05-09T19:00:00+00:00"],
            ),
            ("Offers are due May 5, 2020; a site visit begins at 9 am ET.", vec!["2020-05-05 unresolved"]),
            ("The visit begins at 9 am ET and offers are due May 5, 2020.", vec!["2020-05-05 unresolved"]),
            ("due May 5, 2020 at 2 pm, Central, SC 29630", vec!["2020-05-05 unresolved"]),
            ("due May 5, 2020 at 2 pm at 5 Pacific Avenue", vec!["2020-05-05 unresolved"]),
            ("due May 5, 2020 at 2:00:00 PM (ET)", vec!["2020-05-05T18:00:00+00:00"]),
            ("due May 5, 2020 at 12:00 noon ET", vec!["2020-05-05T16:00:00+00:00"]),
            ("due at 1400 ET on Tuesday, May 5, 2020", vec!["2020-05-05T18:00:00+00:00"]),
            ("due May 5, 2025 ET", vec!["2025-05-05 unresolved"]),
            ("due 2 pm, May 5, 2020 (EST)", vec!["2020-05-05T18:00:00+00:00"]),
            ("Closing date | May 5, 2020 | 2 pm ET", vec!["2020-05-05T18:00:00+00:00"]),
        ] {
            let resolve = |point: &DatedPoint| {
                point.to_utc(None).map_or_else(|| format!("{} unresolved", point.date), |due| due.to_rfc3339())
            };
            assert_eq!(PARSER.find(text).iter().map(resolve).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    /// Whatever surrounds them, a time next to its date and a zone next to its time make the same due time.
    #[test]
    fn places_around_a_due_time_change_nothing() {
        const PLACES: [&str; 5] =
            ["West Haven, CT 06516", "Central Office", "Pacific Avenue", "Atlantic City, NJ", "Mountain View, CA"];
        for place in PLACES {
            for (zone, hour) in [("ET", 18), ("Eastern Time", 18), ("(CST)", 19), ("Pacific Daylight Time", 21)] {
                for text in [
                    format!("Offers are due at {place} by May 5, 2020 at 2 pm {zone}, at {place}"),
                    format!("At {place}, offers are due at 2 pm {zone} on May 5, 2020 at {place}"),
                    format!("{place}: 2:00 p.m. {zone}, May 5, 2020, {place}"),
                ] {
                    assert_eq!(due(&text), format!("2020-05-05T{hour}:00:00+00:00"), "{text}");
                }
                let without = format!("Offers are due at {place} by May 5, 2020 at 2 pm at {place}");
                assert_eq!(due(&without), "2020-05-05 unresolved", "{without}");
            }
        }
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
