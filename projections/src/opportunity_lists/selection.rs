//! The selection of opportunities that a list, a count or a statistic covers, and its conditions in SQL.

use chrono::{DateTime, Datelike as _, NaiveTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::{
    counter::{CounterDimension, counter_day},
    list_entry::facet,
    queries::ListReader,
    search_terms::format_query,
};
use crate::{OpportunityCriteria, TimeRange};

/// A restriction to some values of one dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueRestriction {
    pub(super) dimension: CounterDimension,
    /// Distinct values; none matches nothing.
    pub(super) values: Vec<String>,
}

impl ValueRestriction {
    fn new(dimension: CounterDimension, values: &[String]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        (!values.is_empty()).then_some(Self { dimension, values })
    }

    /// The column that has the values.
    pub(super) fn column(&self) -> &'static str {
        dimension_column(self.dimension)
    }
}

/// Values of one restriction that are each read by the index and then merged, at most.
pub(super) const MERGED_VALUES: usize = 60;

/// The days of [`counter_day`] in SQL.
const POSTED_DAY: &str =
    "to_char(greatest(least(posted_at at time zone 'UTC', '9999-12-31'), '0001-01-01'), 'YYYY-MM-DD')";
const DEADLINE_DAY: &str = "case when response_deadline is not null then to_char(\
    greatest(least(response_deadline at time zone 'UTC', '9999-12-31'), '0001-01-01'), 'YYYY-MM-DD') end";

/// The column of `opportunities`, or the expression, that has the values of a dimension.
pub(super) fn dimension_column(dimension: CounterDimension) -> &'static str {
    match dimension {
        CounterDimension::Agency => "agency_code",
        CounterDimension::NoticeType => "notice_type",
        CounterDimension::SetAside => "set_aside",
        CounterDimension::NaicsSector => "naics_sector",
        CounterDimension::State => "place_state",
        CounterDimension::PostedDay => POSTED_DAY,
        CounterDimension::Naics => "naics",
        CounterDimension::DeadlineDay => DEADLINE_DAY,
    }
}

/// The selected opportunities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ListSelection {
    pub(super) restrictions: Vec<ValueRestriction>,
    pub(super) posted: TimeRange,
    pub(super) deadline: TimeRange,
    /// The words, as a `tsquery`.
    pub(super) words: Option<String>,
    /// The same words, which must be in the title or the number.
    pub(super) title_words: Option<String>,
}

/// A restriction that counters answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CounterFilter {
    /// Some values of a dimension.
    Values(ValueRestriction),
    /// Days of publication or of deadlines, both inclusive.
    Days(CounterDimension, String, String),
}

impl CounterFilter {
    pub(super) fn dimension(&self) -> CounterDimension {
        match self {
            Self::Values(restriction) => restriction.dimension,
            Self::Days(dimension, ..) => *dimension,
        }
    }

    /// Appends the condition on the column `value`.
    pub(super) fn push_condition<'a>(&'a self, value: &str, sql: &mut QueryBuilder<'a, Postgres>) {
        match self {
            Self::Values(restriction) => {
                sql.push(format!("{value} = any(")).push_bind(&restriction.values).push(")");
            }
            Self::Days(_, from, to) => {
                sql.push(format!("{value} between ")).push_bind(from).push(" and ").push_bind(to);
            }
        }
    }
}

/// A selection as counters have it.
pub(super) struct CountedSelection {
    /// The restrictions, with ranges of whole days; `None` if counters do not have all of them.
    pub(super) filters: Option<Vec<CounterFilter>>,
    /// What else is selected: the same on days that the range has in part. Empty if there are no filters.
    pub(super) partial_days: Vec<ListSelection>,
}

impl ListSelection {
    /// The restrictions as filters of counters, and the remaining conditions.
    pub(super) fn counted_selection(&self) -> CountedSelection {
        let uncounted = CountedSelection { filters: None, partial_days: vec![] };
        if self.words.is_some() {
            return uncounted;
        }
        let mut filters: Vec<_> = self.restrictions.iter().cloned().map(CounterFilter::Values).collect();
        let mut partial_days = vec![];
        for (dimension, range) in
            [(CounterDimension::PostedDay, self.posted), (CounterDimension::DeadlineDay, self.deadline)]
        {
            if range.is_open() {
                continue;
            }
            let Some(days) = WholeDays::from_range(range) else { return uncounted };
            // Days that two ranges have in part would be counted twice.
            if !partial_days.is_empty() && !days.rest.is_empty() {
                return uncounted;
            }
            filters.push(CounterFilter::Days(dimension, days.from, days.to));
            partial_days.extend(days.rest.into_iter().map(|rest| {
                if dimension == CounterDimension::PostedDay {
                    Self { posted: rest, ..self.clone() }
                } else {
                    Self { deadline: rest, ..self.clone() }
                }
            }));
        }
        CountedSelection { filters: Some(filters), partial_days }
    }

    /// Whether more than one condition decides about an opportunity.
    pub(super) fn has_several_conditions(&self) -> bool {
        let ranges = [self.posted, self.deadline].iter().filter(|range| !range.is_open()).count();
        self.restrictions.len() + ranges + usize::from(self.words.is_some()) > 1
    }

    /// Whether an index has the selected opportunities in each order of a list for any selected values: all
    /// opportunities, or the opportunities with some values of one dimension, where the index is read for each value.
    pub(super) fn is_indexed_in_every_order(&self) -> bool {
        let is_in_one_index = match self.restrictions.as_slice() {
            [] => true,
            [restriction] => (1..=MERGED_VALUES).contains(&restriction.values.len()),
            _ => false,
        };
        is_in_one_index && self.words.is_none() && self.posted.is_open() && self.deadline.is_open()
    }

    /// Appends all conditions, each after ` and `, for finding all selected rows together.
    pub(super) fn push_lookup_conditions<'a>(&'a self, sql: &mut QueryBuilder<'a, Postgres>) {
        if self.restrictions.len() < 2 {
            return self.push_conditions(None, sql);
        }
        let facets = |restriction: &ValueRestriction| -> Vec<String> {
            restriction.values.iter().map(|value| facet(restriction.dimension, value)).collect()
        };
        let (single, several): (Vec<_>, Vec<_>) =
            self.restrictions.iter().partition(|restriction| restriction.values.len() == 1);
        if !single.is_empty() {
            let all: Vec<_> = single.into_iter().flat_map(facets).collect();
            sql.push(" and facets @> ").push_bind(all);
        }
        for restriction in several {
            sql.push(" and facets && ").push_bind(facets(restriction));
        }
        self.push_other_conditions(sql);
    }

    /// Appends all conditions, each after ` and `, without the restriction with the index `except`, for reading an
    /// index in the order of the list.
    pub(super) fn push_conditions<'a>(&'a self, except: Option<usize>, sql: &mut QueryBuilder<'a, Postgres>) {
        for (index, restriction) in self.restrictions.iter().enumerate() {
            if Some(index) == except {
                continue;
            }
            match restriction.values.as_slice() {
                [value] => sql.push(format!(" and {} = ", restriction.column())).push_bind(value),
                values => {
                    sql.push(format!(" and {} = any(", restriction.column())).push_bind(values.to_vec()).push(")")
                }
            };
        }
        self.push_other_conditions(sql);
    }

    /// Appends the conditions that are no restrictions to values.
    fn push_other_conditions<'a>(&'a self, sql: &mut QueryBuilder<'a, Postgres>) {
        for (column, range) in [("posted_rank", self.posted), ("response_deadline", self.deadline)] {
            let is_rank = column == "posted_rank";
            for (bound, is_lower) in [(range.from, true), (range.to, false)] {
                let Some(time) = bound else { continue };
                // The rank is negated, so its bounds change sides.
                let operator = if is_lower == is_rank { "<=" } else { ">=" };
                sql.push(format!(" and {column} {operator} "));
                if is_rank {
                    sql.push_bind(time.timestamp_micros().saturating_neg());
                } else {
                    sql.push_bind(time);
                }
            }
        }
        if let Some(words) = &self.words {
            sql.push(" and terms @@ ").push_bind(words).push("::tsquery");
        }
    }
}

/// The whole UTC days of a range of times.
#[derive(Debug, PartialEq, Eq)]
struct WholeDays {
    /// The first and the last one, as values of counters; both inclusive.
    from: String,
    to: String,
    /// The rest of the range: the end of a day before, and the beginning of one after them.
    rest: Vec<TimeRange>,
}

impl WholeDays {
    /// `None` if the range has no whole day, or begins or ends in a year that [`counter_day`] may have moved.
    fn from_range(range: TimeRange) -> Option<Self> {
        let mut rest = vec![];
        let from = match range.from {
            None => None,
            Some(from) if from.time() == NaiveTime::MIN => Some(from),
            Some(from) => {
                let next_day = start_of_day(from).checked_add_signed(TimeDelta::days(1))?;
                rest.push(TimeRange { from: Some(from), to: Some(last_time_before(next_day)?) });
                Some(next_day)
            }
        };
        // Inclusive, and times have microseconds.
        let end = match range.to {
            None => None,
            Some(to) => {
                let end = to.checked_add_signed(TimeDelta::microseconds(1))?;
                let day = start_of_day(end);
                if day != end {
                    rest.push(TimeRange { from: Some(day), to: Some(to) });
                }
                Some(day)
            }
        };
        let is_moved = |time: DateTime<Utc>| !(2..=9_998).contains(&time.year());
        let is_empty = matches!((from, end), (Some(from), Some(end)) if from >= end);
        if is_empty || from.is_some_and(is_moved) || end.is_some_and(is_moved) {
            return None;
        }
        Some(Self {
            from: from.map(counter_day).unwrap_or_default(),
            // Above every day.
            to: end.map_or(Some("~".to_owned()), |end| last_time_before(end).map(counter_day))?,
            rest,
        })
    }
}

fn start_of_day(time: DateTime<Utc>) -> DateTime<Utc> {
    time.date_naive().and_time(NaiveTime::MIN).and_utc()
}

fn last_time_before(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    time.checked_sub_signed(TimeDelta::microseconds(1))
}

impl ListSelection {
    /// Translates criteria and words; `None` if the codes of industries have to be looked up.
    pub(super) fn without_lookup(criteria: &OpportunityCriteria, text: Option<&str>) -> Option<Self> {
        let mut selection = Self::of_any_industry(criteria, text);
        if !criteria.naics.is_empty() {
            selection.restrictions.push(sector_restriction(&criteria.naics)?);
        }
        Some(selection)
    }

    fn of_any_industry(criteria: &OpportunityCriteria, text: Option<&str>) -> Self {
        let restrictions = [
            (CounterDimension::Agency, &criteria.agencies),
            (CounterDimension::NoticeType, &criteria.notice_types),
            (CounterDimension::SetAside, &criteria.set_asides),
        ]
        .into_iter()
        .filter_map(|(dimension, values)| ValueRestriction::new(dimension, values));
        let text = text.unwrap_or_default();
        Self {
            restrictions: restrictions.collect(),
            posted: criteria.posted,
            deadline: criteria.deadline,
            words: format_query(text, false),
            title_words: format_query(text, true),
        }
    }
}

/// The restriction to sectors, if the prefixes of industry codes cover whole sectors.
fn sector_restriction(prefixes: &[String]) -> Option<ValueRestriction> {
    let sectors = ValueRestriction::new(CounterDimension::NaicsSector, prefixes)?;
    sectors.values.iter().all(|prefix| prefix.len() == 2).then_some(sectors)
}

impl ListReader<'_> {
    /// Translates criteria and words. Prefixes of industry codes become the codes that begin with them.
    pub(super) async fn resolve_selection(
        &mut self,
        criteria: &OpportunityCriteria,
        text: Option<&str>,
    ) -> Result<ListSelection, sqlx::Error> {
        if let Some(selection) = ListSelection::without_lookup(criteria, text) {
            return Ok(selection);
        }
        let mut selection = ListSelection::of_any_industry(criteria, text);
        selection.restrictions.push(self.look_up_naics(&criteria.naics).await?);
        Ok(selection)
    }

    async fn look_up_naics(&mut self, prefixes: &[String]) -> Result<ValueRestriction, sqlx::Error> {
        let sql = self.client.in_schema(include_str!("sql/naics_codes.sql"));
        let rows = sqlx::query(&sql)
            .bind(CounterDimension::Naics.number())
            .bind(prefixes)
            .fetch_all(&mut *self.transaction)
            .await?;
        let values = rows.iter().map(|row| row.try_get("value")).collect::<Result<_, _>>()?;
        Ok(ValueRestriction { dimension: CounterDimension::Naics, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> TimeRange {
        TimeRange { from: from.parse().ok(), to: to.parse().ok() }
    }

    #[test]
    fn a_range_is_whole_days_and_the_rest() {
        let days = |from, to| WholeDays::from_range(range(from, to));
        let expected = |from: &str, to: &str, rest: &[(&str, &str)]| {
            let rest = rest.iter().map(|(from, to)| range(from, to)).collect();
            Some(WholeDays { from: from.to_owned(), to: to.to_owned(), rest })
        };
        assert_eq!(
            days("2026-03-01T00:00:00Z", "2026-03-02T23:59:59.999999Z"),
            expected("2026-03-01", "2026-03-02", &[])
        );
        assert_eq!(days("2026-03-01T00:00:00Z", ""), expected("2026-03-01", "~", &[]));
        assert_eq!(
            days("2026-03-01T08:00:00Z", ""),
            expected("2026-03-02", "~", &[("2026-03-01T08:00:00Z", "2026-03-01T23:59:59.999999Z")])
        );
        assert_eq!(
            days("2026-03-01T08:00:00Z", "2026-03-03T00:00:00Z"),
            expected(
                "2026-03-02",
                "2026-03-02",
                &[
                    ("2026-03-01T08:00:00Z", "2026-03-01T23:59:59.999999Z"),
                    ("2026-03-03T00:00:00Z", "2026-03-03T00:00:00Z")
                ]
            )
        );
        assert_eq!(days("2026-03-01T08:00:00Z", "2026-03-02T07:00:00Z"), None, "no whole day");
        assert_eq!(days("2026-03-01T08:00:00Z", "2026-03-01T07:00:00Z"), None);
        assert_eq!(days("2026-03-02T00:00:00Z", "2026-03-01T23:59:59.999999Z"), None);
        assert_eq!(days("+10000-01-01T00:00:00Z", ""), None);
        assert_eq!(days("", "9999-12-31T23:59:59.999999Z"), None);
    }

    #[test]
    fn the_conditions_name_columns_with_indexes() {
        let restriction = |dimension, values: &[&str]| ValueRestriction {
            dimension,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let selection = ListSelection {
            restrictions: vec![
                restriction(CounterDimension::Agency, &["036"]),
                restriction(CounterDimension::SetAside, &["SBA", "WOSB"]),
            ],
            posted: range("2026-03-01T00:00:00Z", ""),
            deadline: range("", "2026-03-01T00:00:00Z"),
            words: Some("'lift':*".to_owned()),
            title_words: None,
        };
        let mut sql = QueryBuilder::new("true");
        selection.push_conditions(None, &mut sql);
        assert_eq!(
            sql.sql(),
            "true and agency_code = $1 and set_aside = any($2) and posted_rank <= $3 and response_deadline <= $4 \
             and terms @@ $5::tsquery"
        );
        let mut sql = QueryBuilder::new("true");
        selection.push_lookup_conditions(&mut sql);
        assert_eq!(
            sql.sql(),
            "true and facets @> $1 and facets && $2 and posted_rank <= $3 and response_deadline <= $4 \
             and terms @@ $5::tsquery"
        );
    }
}
