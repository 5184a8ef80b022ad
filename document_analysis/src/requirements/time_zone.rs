//! Finds the time zone of a time of day, as solicitations write it.

use chrono_tz::Tz;
use regex::Regex;

/// How far after its time a zone may begin, in bytes.
const REACH: usize = 25;

/// Finds names of time zones. `CT`, `Central` and `Pacific` are also states, towns and streets, so a name is a zone
/// only where its words and its position say so.
pub(super) struct TimeZoneParser {
    /// What may stand between a time and its zone.
    prefix: Regex,
    zones: Vec<(Regex, Tz)>,
    /// What follows a word such as `Eastern` where it is a zone.
    time_word: Regex,
    /// What may follow such a word where its sentence or its part of the sentence ends.
    end: Regex,
    /// What follows the short name of a state.
    postal_code: Regex,
}

impl TimeZoneParser {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(super) fn new() -> Result<Self, regex::Error> {
        let zone = |words: &str, names: &str, zone: Tz| {
            Ok((Regex::new(&format!(r"^(?:(?P<word>(?i:{words}))|(?:{names}))\b"))?, zone))
        };
        Ok(Self {
            prefix: Regex::new(r"^(?i:[\s,.()\[\]/–-]|\b(?:hours|hrs|local time|local|prevailing|sharp|u\.?s\b\.?))*")?,
            zones: vec![
                zone("eastern", r"E[SD]?T|(?i:new york time|washington,? d\.?c\.? time)", Tz::America__New_York)?,
                zone("central", "C[SD]?T", Tz::America__Chicago)?,
                zone("mountain", "M[SD]?T", Tz::America__Denver)?,
                zone("pacific", "P[SD]?T", Tz::America__Los_Angeles)?,
                zone("alaskan?", "AK[SD]?T", Tz::America__Anchorage)?,
                zone("hawaii(?:an)?", "HA?ST", Tz::Pacific__Honolulu)?,
                zone("atlantic", "A[SD]T", Tz::America__Puerto_Rico)?,
                zone("greenwich", "UTC|GMT|(?i:zulu|coordinated universal)", Tz::UTC)?,
            ],
            time_word: Regex::new(r"(?i)^\s+(?:time|prevailing|standard|daylight|mean|local time)\b")?,
            end: Regex::new(r"^\s*(?:$|[.;:)\]]|(?:on|by|via|to)\b)")?,
            postal_code: Regex::new(r"^,?\s+\d{5}\b")?,
        })
    }

    /// The zone directly after a time of day; `after` is the text after it.
    pub(super) fn find_after_time(&self, after: &str) -> Option<Tz> {
        let prefix = self.prefix.find(after).map_or("", |found| found.as_str());
        let name = after.get(prefix.len()..).filter(|_| prefix.len() <= REACH)?;
        let (zone, is_certain, rest) = self.match_name(name)?;
        // `2 pm Eastern, by e-mail`, but not `2 pm, Central, SC`.
        let is_joined = !prefix.contains(',') && rest.starts_with(',');
        (is_certain || is_joined || self.is_phrase_end(name, rest)).then_some(zone)
    }

    /// The zone directly after a date that follows its time, in brackets or as in `Eastern Time`.
    pub(super) fn find_after_date(&self, after: &str) -> Option<Tz> {
        let name = after.trim_start_matches([' ', ',', '(', '[']);
        let (zone, is_certain, rest) = self.match_name(name)?;
        let is_bracketed = after.trim_start().starts_with(['(', '[']) && rest.starts_with([')', ']']);
        (is_bracketed || is_certain && self.time_word.is_match(rest)).then_some(zone)
    }

    /// The first zone in a sentence that says the zone of all times.
    pub(super) fn find_anywhere(&self, text: &str) -> Option<Tz> {
        let starts = text.char_indices().filter(|(at, character)| {
            let before = text.get(..*at).unwrap_or_default();
            // A name after a comma may be a state.
            character.is_alphanumeric() && !before.ends_with(char::is_alphanumeric) && !before.ends_with(", ")
        });
        starts.filter_map(|(at, _)| text.get(at..)).find_map(|name| {
            let (zone, is_certain, rest) = self.match_name(name)?;
            (is_certain || self.end.is_match(rest)).then_some(zone)
        })
    }

    /// The zone whose name a text begins with, whether the name is one by itself, and what follows it.
    fn match_name<'a>(&self, text: &'a str) -> Option<(Tz, bool, &'a str)> {
        self.zones.iter().find_map(|(pattern, zone)| {
            let found = pattern.captures(text)?;
            let rest = text.get(found.get(0)?.end()..)?;
            let is_certain = if found.name("word").is_some() {
                self.time_word.is_match(rest)
            } else {
                !self.postal_code.is_match(rest)
            };
            (is_certain || found.name("word").is_some()).then_some((*zone, is_certain, rest))
        })
    }

    /// Whether a word such as `Eastern` ends its phrase.
    fn is_phrase_end(&self, name: &str, rest: &str) -> bool {
        // Names of towns and streets are capitalised: in `noon, eastern Google Form` another cell of the row begins.
        let is_lower = name.starts_with(char::is_lowercase);
        self.end.is_match(rest) || is_lower && rest.trim_start().starts_with(char::is_uppercase)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Compiled once for all tests.
    static PARSER: LazyLock<TimeZoneParser> = LazyLock::new(|| TimeZoneParser::new().unwrap());

    const EASTERN: Option<Tz> = Some(Tz::America__New_York);
    const CENTRAL: Option<Tz> = Some(Tz::America__Chicago);

    #[test]
    fn a_zone_stands_right_after_its_time() {
        for (after, expected) in [
            (" ET", EASTERN),
            (". (EST) on May 5", EASTERN),
            (" Eastern", EASTERN),
            (" Eastern, by e-mail", EASTERN),
            (", eastern Google Form", EASTERN),
            (" (Eastern Daylight Time)", EASTERN),
            (" local time (ET)", EASTERN),
            (" Washington, DC time", EASTERN),
            (" hours Central Standard Time", CENTRAL),
            (" U.S. Central Time", CENTRAL),
            (" prevailing Central Time", CENTRAL),
            (" Greenwich Mean Time", Some(Tz::UTC)),
            (" zulu", Some(Tz::UTC)),
            (" in West Haven, CT", None),
            (", CT 06516", None),
            (" CT 06516", None),
            (", Central, SC", None),
            (" Central Avenue entrance", None),
            (", Pacific Grove", None),
            (" Atlantic City", None),
            (", Greenwich, CT", None),
            (" in Room 5 of the building, ET", None),
            (" at VA Medical Center, Eastern Time", None),
            (" local time", None),
            (" \u{e9}", None),
            ("", None),
        ] {
            assert_eq!(PARSER.find_after_time(after), expected, "{after}");
        }
    }

    #[test]
    fn a_zone_after_the_date_is_in_brackets_or_says_time() {
        for (after, expected) in [
            (" (EST)", EASTERN),
            (", Eastern Time", EASTERN),
            (" (Central)", CENTRAL),
            (" at VA Medical Center, West Haven, CT 06516", None),
            (", CT", None),
            (" (CT scans)", None),
            (" Central Office", None),
        ] {
            assert_eq!(PARSER.find_after_date(after), expected, "{after}");
        }
    }

    #[test]
    fn the_zone_of_all_times_is_no_place() {
        for (text, expected) in [
            (" Eastern.", EASTERN),
            (" given in the Central Time zone", CENTRAL),
            (" EST", EASTERN),
            (" local to West Haven, CT.", None),
            (" those of the Central Office", None),
            (" local", None),
        ] {
            assert_eq!(PARSER.find_anywhere(text), expected, "{text}");
        }
    }
}
