//! Which opportunities a list or a statistic is about, and how that is said to `ClickHouse`.

use chrono::{DateTime, Utc};
use clickhouse::{Client, query::Query};

use crate::{OpportunityCriteria, TimeRange};

/// Years 1 to 9999 in microseconds: wider than any date that a notice carries.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

/// The chosen opportunities and their awards, for a question to follow.
const SELECTED_OPPORTUNITIES: &str = include_str!("sql/chosen.sql");

/// Where `chosen.sql` takes what opportunities have to be like.
const CONDITIONS: &str = "/* conditions */";

/// Words beyond this many are not looked at.
const MAX_WORDS: usize = 20;

/// A choice of opportunities with an optional text to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunitySelection {
    /// What they are like.
    pub filter: OpportunityCriteria,
    /// Words that must all occur in title, number or text, in any case.
    pub text: Option<String>,
}

impl OpportunitySelection {
    /// Asks `question` of the chosen opportunities; its own parameters are bound to what is answered.
    ///
    /// Only conditions that exclude something are said: each is worked out for every row, even one that holds for all.
    pub(super) fn build_query(&self, client: &Client, question: &str) -> Query {
        let OpportunityCriteria { agencies, notice_types, naics, set_asides, posted, deadline } = &self.filter;
        let words = self.search_words();
        let lists = [
            (agencies, "has(cast(? as Array(String)), agency_code)"),
            (notice_types, "has(cast(? as Array(String)), notice_type)"),
            (naics, "arrayExists(code -> startsWith(naics, code), cast(? as Array(String)))"),
            (set_asides, "has(cast(? as Array(String)), set_aside)"),
            (&words, "arrayAll(word -> position(search_text, word) > 0, cast(? as Array(String)))"),
        ];
        let lists = lists.into_iter().filter(|(wanted, _)| !wanted.is_empty());
        let ranges = [
            (posted, "toUnixTimestamp64Micro(posted_at) between toInt64(?) and toInt64(?)"),
            (
                deadline,
                "isNotNull(response_deadline) and toUnixTimestamp64Micro(assumeNotNull(response_deadline)) \
                 between toInt64(?) and toInt64(?)",
            ),
        ];
        let ranges = ranges.into_iter().filter(|(range, _)| !range.is_open());
        let conditions: Vec<_> = lists
            .clone()
            .map(|(_, condition)| condition)
            .chain(ranges.clone().map(|(_, condition)| condition))
            .collect();
        let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" and ") };

        let mut query = client.query(&format!("{}{question}", SELECTED_OPPORTUNITIES.replace(CONDITIONS, &conditions)));
        for (wanted, _) in lists {
            query = query.bind(wanted);
        }
        for (range, _) in ranges {
            let (from, to) = range_micros(*range);
            query = query.bind(from).bind(to);
        }
        query
    }

    fn search_words(&self) -> Vec<String> {
        let text = self.text.as_deref().unwrap_or_default();
        text.split_whitespace().map(str::to_lowercase).take(MAX_WORDS).collect()
    }
}

fn range_micros(range: TimeRange) -> (i64, i64) {
    let micros = |end: Option<DateTime<Utc>>| end.map(|time| time.timestamp_micros());
    (micros(range.from).unwrap_or(EARLIEST), micros(range.to).unwrap_or(LATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_as_words_in_lower_case() {
        let selection =
            OpportunitySelection { text: Some("  Patient LIFTS ".into()), ..OpportunitySelection::default() };
        assert_eq!(selection.search_words(), ["patient", "lifts"]);
        assert_eq!(OpportunitySelection::default().search_words(), Vec::<String>::new());
    }

    #[test]
    fn the_bounds_are_the_years_1_and_9999() {
        let time = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap().to_rfc3339();
        assert_eq!(time(EARLIEST), "0001-01-01T00:00:00+00:00");
        assert_eq!(time(LATEST), "9999-12-31T23:59:59.999999+00:00");
    }
}
