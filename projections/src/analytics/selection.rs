//! Which opportunities a list or a statistic is about, and how that is said to `ClickHouse`.

use chrono::{DateTime, Utc};
use clickhouse::query::Query;

use crate::{Filter, TimeRange};

/// Years 1 to 9999 in microseconds: wider than any date that a notice carries.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

/// Words beyond this many are not looked at.
const MAX_WORDS: usize = 20;

/// A choice of opportunities with an optional text to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What they are like.
    pub filter: Filter,
    /// Words that must all occur in title, number or text, in any case.
    pub text: Option<String>,
}

impl Selection {
    /// Binds the parameters of `chosen.sql`, in its order.
    pub(super) fn bind(&self, query: Query) -> Query {
        let (posted_from, posted_to) = bounds(self.filter.posted);
        let (deadline_from, deadline_to) = bounds(self.filter.deadline);
        query
            .bind(&self.filter.agencies)
            .bind(&self.filter.notice_types)
            .bind(&self.filter.naics)
            .bind(&self.filter.set_asides)
            .bind(self.words())
            .bind(posted_from)
            .bind(posted_to)
            .bind(deadline_from)
            .bind(deadline_to)
            .bind(!self.filter.deadline.is_open())
    }

    fn words(&self) -> Vec<String> {
        let text = self.text.as_deref().unwrap_or_default();
        text.split_whitespace().map(str::to_lowercase).take(MAX_WORDS).collect()
    }
}

fn bounds(range: TimeRange) -> (i64, i64) {
    let micros = |end: Option<DateTime<Utc>>| end.map(|time| time.timestamp_micros());
    (micros(range.from).unwrap_or(EARLIEST), micros(range.to).unwrap_or(LATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_as_words_in_lower_case() {
        let selection = Selection { text: Some("  Patient LIFTS ".into()), ..Selection::default() };
        assert_eq!(selection.words(), ["patient", "lifts"]);
        assert_eq!(Selection::default().words(), Vec::<String>::new());
    }

    #[test]
    fn the_bounds_are_the_years_1_and_9999() {
        let time = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap().to_rfc3339();
        assert_eq!(time(EARLIEST), "0001-01-01T00:00:00+00:00");
        assert_eq!(time(LATEST), "9999-12-31T23:59:59.999999+00:00");
    }
}
