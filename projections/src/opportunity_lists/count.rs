//! Counts: from counters, or up to a bound through the indexes.

use std::{cmp::Reverse, collections::BTreeMap};

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{
    FacetCount, FacetDimension, SelectionTotals, TotalCount,
    counter::{CounterDimension, CounterTable, MAX_COUNTED_VALUES, is_counted},
    list_entry::clamp_cents,
    queries::ListReader,
    selection::{CountedSelection, CounterFilter, ListSelection, dimension_column},
};

/// Opportunities that are counted at most where no counter has the number.
pub(super) const COUNT_LIMIT: u64 = 1_000;

/// Values of one dimension that are returned at most.
const MAX_FACET_VALUES: usize = 500;

/// The columns of a counter's key: dimension and value of each part.
pub(super) const KEY_COLUMNS: [(&str, &str); MAX_COUNTED_VALUES] =
    [("dimension", "value"), ("other_dimension", "other_value"), ("third_dimension", "third_value")];

/// The counts of the values of one dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ValueCounts {
    rows: Vec<(String, u64)>,
    exact: bool,
}

impl ValueCounts {
    /// Counts the values of all opportunities that were read; some opportunities have no value.
    fn from_values(values: Vec<Option<String>>) -> Self {
        // What was read decides, also of opportunities without a value: more may follow that have one.
        let exact = values.len() as u64 <= COUNT_LIMIT;
        let mut counts = BTreeMap::<String, u64>::new();
        for value in values.into_iter().flatten() {
            *counts.entry(value).or_default() += 1;
        }
        Self::from_counts(counts, exact)
    }

    /// The sum of both.
    fn add(self, other: &Self) -> Self {
        let mut counts: BTreeMap<_, _> = self.rows.into_iter().collect();
        for (value, count) in &other.rows {
            *counts.entry(value.clone()).or_default() += count;
        }
        Self::from_counts(counts, self.exact && other.exact)
    }

    fn from_counts(counts: BTreeMap<String, u64>, exact: bool) -> Self {
        let mut rows: Vec<_> = counts.into_iter().collect();
        // Stable: equal counts stay in the order of their values.
        rows.sort_by_key(|(_, count)| Reverse(*count));
        rows.truncate(MAX_FACET_VALUES);
        Self { rows, exact }
    }
}

/// The figures of one value of a dimension.
pub(super) struct ValueTotals {
    pub(super) value: String,
    pub(super) totals: SelectionTotals,
}

/// How figures are read from the counters: by the values of several dimensions, with restrictions of some of them.
pub(super) struct CounterQuery {
    /// In the order of the dimensions, as in the key of a counter.
    parts: BTreeMap<CounterDimension, Option<CounterFilter>>,
    /// The dimension by whose values figures are grouped.
    grouped: Option<CounterDimension>,
}

impl CounterQuery {
    /// The figures of all values together under these filters; `None` if there is no counter for them.
    pub(super) fn for_total(filters: Vec<CounterFilter>) -> Option<Self> {
        Self::new(None, filters)
    }

    /// The figures by the values of `dimension` under these filters; `None` if there is no counter for them.
    pub(super) fn grouped_by(dimension: CounterDimension, filters: Vec<CounterFilter>) -> Option<Self> {
        Self::new(Some(dimension), filters)
    }

    fn new(grouped: Option<CounterDimension>, filters: Vec<CounterFilter>) -> Option<Self> {
        let mut parts = BTreeMap::new();
        for filter in filters {
            if parts.insert(filter.dimension(), Some(filter)).is_some() {
                return None;
            }
        }
        if let Some(grouped) = grouped {
            parts.entry(grouped).or_insert(None);
        }
        let dimensions: Vec<_> = parts.keys().copied().collect();
        is_counted(&dimensions).then_some(Self { parts, grouped })
    }

    /// The statement that selects from the counters in a schema; `{value}` is the column of the grouped values.
    fn select<'a>(&'a self, schema: &str, selected: &str) -> QueryBuilder<'a, Postgres> {
        let mut sql = QueryBuilder::default();
        self.push_select(schema, selected, &mut sql);
        sql
    }

    /// Appends the number of opportunities under the filters, as a value.
    pub(super) fn push_total<'a>(&'a self, schema: &str, sql: &mut QueryBuilder<'a, Postgres>) {
        self.push_select(schema, "coalesce(sum(opportunities), 0)::bigint", sql.push("("));
        sql.push(")");
    }

    fn push_select<'a>(&'a self, schema: &str, selected: &str, sql: &mut QueryBuilder<'a, Postgres>) {
        let table = CounterTable::for_value_count(self.parts.len());
        let is_grouped = |dimension: &CounterDimension| Some(*dimension) == self.grouped;
        let grouped = self.parts.keys().position(is_grouped).and_then(|index| KEY_COLUMNS.get(index).copied());
        let value = grouped.map_or("''", |(_, value)| value);
        let selected = selected.replace("{value}", value);
        sql.push(format!("select {selected} from {schema}.{} where true", table.name()));
        let mut parts = self.parts.iter();
        for (dimension, value) in KEY_COLUMNS.into_iter().take(table.key_parts()) {
            match parts.next() {
                None => {
                    sql.push(format!(" and {dimension} = 0 and {value} = ''"));
                }
                Some((counted, filter)) => {
                    sql.push(format!(" and {dimension} = {}", counted.number()));
                    if let Some(filter) = filter {
                        filter.push_condition(value, sql.push(" and "));
                    }
                }
            }
        }
    }
}

/// A value and the sums of its counters.
const SUMS: &str = "{value} as value, sum(opportunities)::bigint as opportunities, sum(awarded)::bigint as awarded, \
                    sum(awarded_cents)::text as awarded_cents";

pub(super) fn read_count(row: &PgRow) -> Result<u64, sqlx::Error> {
    let count: Option<i64> = row.try_get("opportunities")?;
    Ok(count.unwrap_or_default().max(0).cast_unsigned())
}

/// Reads the columns of [`SUMS`].
pub(super) fn read_totals(row: &PgRow) -> Result<SelectionTotals, sqlx::Error> {
    let awarded: Option<i64> = row.try_get("awarded")?;
    let cents: Option<String> = row.try_get("awarded_cents")?;
    let cents: i128 = match cents {
        Some(cents) => cents.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        None => 0,
    };
    Ok(SelectionTotals {
        opportunities: read_count(row)?,
        awarded: awarded.unwrap_or_default().max(0).cast_unsigned(),
        awarded_cents: clamp_cents(cents),
    })
}

impl ListReader<'_> {
    /// The number of selected opportunities: the counters of whole days, plus the index's entries for days that the
    /// range of times covers only in part.
    pub(super) async fn count_selection(&mut self, selection: &ListSelection) -> Result<TotalCount, sqlx::Error> {
        let CountedSelection { filters, partial_days } = selection.counted_selection();
        let Some(query) = filters.and_then(CounterQuery::for_total) else {
            return self.count_up_to_limit(selection).await;
        };
        let mut sql = query.select(self.client.schema(), "sum(opportunities)::bigint as opportunities");
        let count = read_count(&sql.build().fetch_one(&mut *self.transaction).await?)?;
        let mut total = TotalCount { count, exact: true };
        for partial_day in &partial_days {
            let more = self.count_up_to_limit(partial_day).await?;
            total = TotalCount { count: total.count + more.count, exact: total.exact && more.exact };
        }
        Ok(total)
    }

    async fn count_up_to_limit(&mut self, selection: &ListSelection) -> Result<TotalCount, sqlx::Error> {
        let table = self.client.in_schema("{schema}.opportunities");
        let mut sql =
            QueryBuilder::new(format!("select count(*) as opportunities from (select from {table} where true"));
        selection.push_lookup_conditions(&mut sql);
        sql.push(format!(" limit {}) as counted", COUNT_LIMIT + 1));
        let count = read_count(&sql.build().fetch_one(&mut *self.transaction).await?)?;
        Ok(TotalCount { count: count.min(COUNT_LIMIT), exact: count <= COUNT_LIMIT })
    }

    /// The counts of the values of each dimension, the most frequent first.
    pub(super) async fn fetch_facets(
        &mut self,
        selection: &ListSelection,
        dimensions: &[FacetDimension],
    ) -> Result<Vec<FacetCount>, sqlx::Error> {
        let CountedSelection { filters, partial_days } = selection.counted_selection();
        let query = |dimension: FacetDimension| CounterQuery::grouped_by(dimension.into(), filters.clone()?);
        let queries: Vec<_> = dimensions.iter().map(|dimension| (*dimension, query(*dimension))).collect();
        let uncounted = queries.iter().filter(|(_, query)| query.is_none()).map(|(dimension, _)| *dimension);
        let read_counts = self.count_by_index(selection, uncounted.collect()).await?;
        let counted: Vec<_> =
            queries.iter().filter(|(_, query)| query.is_some()).map(|(dimension, _)| *dimension).collect();
        let mut partial_counts = vec![];
        for partial_day in &partial_days {
            partial_counts.push(self.count_by_index(partial_day, counted.clone()).await?);
        }
        let mut facets = Vec::new();
        for (dimension, query) in &queries {
            let ValueCounts { rows, exact } = match query {
                Some(query) => {
                    let rows = self.count_by_counters(query).await?;
                    // A partial day may have a value that is not among the most frequent ones.
                    let exact = partial_days.is_empty() || rows.len() < MAX_FACET_VALUES;
                    let whole_days = ValueCounts { rows, exact };
                    let parts = partial_counts.iter().filter_map(|counts| counts.get(dimension));
                    parts.fold(whole_days, ValueCounts::add)
                }
                None => read_counts.get(dimension).cloned().unwrap_or_default(),
            };
            let mut agency_names = if *dimension == FacetDimension::Agency {
                self.load_agency_names(rows.iter().map(|(value, _)| value.as_str())).await?
            } else {
                BTreeMap::new()
            };
            facets.extend(rows.into_iter().map(|(value, count)| {
                let label = agency_names.remove(&value);
                FacetCount { dimension: *dimension, value, label, count, exact }
            }));
        }
        Ok(facets)
    }

    async fn count_by_counters(&mut self, query: &CounterQuery) -> Result<Vec<(String, u64)>, sqlx::Error> {
        let mut sql =
            query.select(self.client.schema(), "{value} as value, sum(opportunities)::bigint as opportunities");
        sql.push(format!(" group by 1 having sum(opportunities) > 0 order by 2 desc, 1 limit {MAX_FACET_VALUES}"));
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| Ok((row.try_get("value")?, read_count(row)?))).collect()
    }

    /// Counts the values of all these dimensions from the same rows.
    async fn count_by_index(
        &mut self,
        selection: &ListSelection,
        dimensions: Vec<FacetDimension>,
    ) -> Result<BTreeMap<FacetDimension, ValueCounts>, sqlx::Error> {
        if dimensions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let table = self.client.in_schema("{schema}.opportunities");
        let columns: Vec<_> = dimensions.iter().map(|dimension| dimension_column((*dimension).into())).collect();
        let mut sql = QueryBuilder::new(format!("select {} from {table} where true", columns.join(", ")));
        selection.push_lookup_conditions(&mut sql);
        sql.push(format!(" limit {}", COUNT_LIMIT + 1));
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        let count = |(index, dimension): (usize, FacetDimension)| {
            let values =
                rows.iter().map(|row| row.try_get::<Option<String>, _>(index)).collect::<Result<Vec<_>, _>>()?;
            Ok((dimension, ValueCounts::from_values(values)))
        };
        dimensions.into_iter().enumerate().map(count).collect()
    }

    /// The figures by the values of a dimension, in the order of the values.
    pub(super) async fn fetch_value_totals(&mut self, query: &CounterQuery) -> Result<Vec<ValueTotals>, sqlx::Error> {
        let mut sql = query.select(self.client.schema(), SUMS);
        sql.push(" group by 1 having sum(opportunities) > 0 order by 1");
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| Ok(ValueTotals { value: row.try_get("value")?, totals: read_totals(row)? })).collect()
    }

    /// The name of each agency in its newest notice.
    pub(super) async fn load_agency_names(
        &mut self,
        codes: impl Iterator<Item = &str>,
    ) -> Result<BTreeMap<String, String>, sqlx::Error> {
        let sql = self.client.in_schema(include_str!("sql/agency_names.sql"));
        let codes: Vec<_> = codes.collect();
        let rows = sqlx::query(&sql).bind(codes).fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| Ok((row.try_get("code")?, row.try_get("name")?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_if_all_selected_opportunities_were_read() {
        let counts =
            |without| ValueCounts::from_values([vec![None; without], vec![Some("SBA".to_owned()); 201]].concat());
        let rows = vec![("SBA".to_owned(), 201)];
        assert_eq!(counts(799), ValueCounts { rows: rows.clone(), exact: true });
        assert_eq!(counts(800), ValueCounts { rows, exact: false }, "more may follow that have the value");
    }

    #[test]
    fn the_number_of_values_is_bounded_and_the_most_frequent_is_first() {
        let values = (0..=MAX_FACET_VALUES).map(|value| Some(value.to_string())).chain([Some("7".to_owned())]);
        let counts = ValueCounts::from_values(values.collect());
        assert_eq!((counts.rows.len(), &counts.rows[0]), (MAX_FACET_VALUES, &("7".to_owned(), 2)));
    }
}
