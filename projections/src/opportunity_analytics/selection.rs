//! The selection of opportunities that a list or a statistic covers, and its translation to `ClickHouse` SQL.

use chrono::{DateTime, Utc};
use clickhouse::{Client, query::Query};

use crate::{OpportunityCriteria, TimeRange};

/// Start of year 1 and end of year 9999 in microseconds of Unix time: no date of a notice is outside of them.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

/// Common table expressions of the selected opportunities and their awards; a query follows.
const SELECTED_OPPORTUNITIES: &str = include_str!("sql/selected_opportunities.sql");

/// Placeholder in `selected_opportunities.sql` for the conditions on opportunities.
const CONDITIONS: &str = "/* conditions */";

/// Words of the search text beyond this number are ignored.
const MAX_WORDS: usize = 20;

/// Selected opportunities: criteria and an optional search text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunitySelection {
    /// Criteria that every opportunity meets.
    pub filter: OpportunityCriteria,
    /// Words that must all occur in title, number or description, in upper or lower case; words after the 20th are
    /// ignored.
    pub text: Option<String>,
}

impl OpportunitySelection {
    /// Prepends the selection to the statement `sql`, which selects from it; the caller binds the parameters of `sql`
    /// to the returned query.
    ///
    /// Leaves out conditions that exclude nothing: the server evaluates each condition for every row.
    pub(super) fn build_query(&self, client: &Client, sql: &str) -> Query {
        let OpportunityCriteria { agencies, notice_types, naics, set_asides, posted, deadline } = &self.filter;
        let words = self.search_words();
        let lists = [
            (agencies, "has(cast(? as Array(String)), agency_code)"),
            (notice_types, "has(cast(? as Array(String)), notice_type)"),
            (naics, "arrayExists(code -> startsWith(naics, code), cast(? as Array(String)))"),
            (set_asides, "has(cast(? as Array(String)), set_aside)"),
            (&words, "arrayAll(word -> position(search_text, word) > 0, cast(? as Array(String)))"),
        ];
        let lists = lists.into_iter().filter(|(values, _)| !values.is_empty());
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

        let mut query = client.query(&format!("{}{sql}", SELECTED_OPPORTUNITIES.replace(CONDITIONS, &conditions)));
        for (values, _) in lists {
            query = query.bind(values);
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
    fn a_text_is_split_into_words_in_lower_case() {
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
