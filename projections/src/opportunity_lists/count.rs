//! Counts: from counters, or up to a bound through the indexes.

use std::collections::BTreeMap;

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{
    FacetCount, FacetDimension, SelectionTotals, TotalCount,
    counter::CounterDimension,
    list_entry::clamp_cents,
    queries::ListReader,
    selection::{CounterFilter, ListSelection, column_of},
};

/// Opportunities that are counted at most where no counter has the number.
pub(super) const COUNT_LIMIT: u64 = 1_000;

/// Values of one dimension that are returned at most.
const MAX_FACET_VALUES: usize = 500;

/// The counts of the values of one dimension.
#[derive(Debug, PartialEq, Eq)]
struct ValueCounts {
    rows: Vec<(String, u64)>,
    exact: bool,
}

impl ValueCounts {
    /// The counts of `read` opportunities by value, one of which is their absence.
    fn of_rows(rows: Vec<(Option<String>, u64)>, read: u64) -> Self {
        let present = rows.into_iter().filter_map(|(value, count)| value.map(|value| (value, count)));
        // What was read decides, also of opportunities without a value: more may follow that have one.
        Self { rows: present.take(MAX_FACET_VALUES).collect(), exact: read <= COUNT_LIMIT }
    }
}

/// The figures of one value of a dimension.
pub(super) struct ValueTotals {
    pub(super) value: String,
    pub(super) totals: SelectionTotals,
}

/// How figures by the values of a dimension are read from the counters: the restriction of its own values, and that of
/// the other dimension.
pub(super) struct CounterQuery {
    dimension: CounterDimension,
    own: Option<CounterFilter>,
    other: CounterFilter,
}

impl CounterQuery {
    /// The figures of all values together under these filters; `None` if there is no counter for them.
    fn for_total(filters: Vec<CounterFilter>) -> Option<Self> {
        let mut filters = filters.into_iter();
        match (filters.next(), filters.next(), filters.next()) {
            (None, _, _) => Some(Self {
                dimension: CounterDimension::All,
                own: Some(CounterFilter::All),
                other: CounterFilter::All,
            }),
            (Some(own), other, None) => Self::new(own.dimension(), Some(own), other.unwrap_or(CounterFilter::All)),
            (Some(_), _, Some(_)) => None,
        }
    }

    /// The figures by the values of `dimension` under these filters; `None` if there is no counter for them.
    pub(super) fn by_value(dimension: CounterDimension, filters: Vec<CounterFilter>) -> Option<Self> {
        let (own, others): (Vec<_>, Vec<_>) = filters.into_iter().partition(|filter| filter.dimension() == dimension);
        let (mut own, mut others) = (own.into_iter(), others.into_iter());
        match (own.next(), own.next(), others.next(), others.next()) {
            (own, None, other, None) => Self::new(dimension, own, other.unwrap_or(CounterFilter::All)),
            _ => None,
        }
    }

    fn new(dimension: CounterDimension, own: Option<CounterFilter>, other: CounterFilter) -> Option<Self> {
        let is_paired = other != CounterFilter::All;
        let has_no_pairs = |dimension| dimension == CounterDimension::Naics;
        (!is_paired || !(has_no_pairs(dimension) || has_no_pairs(other.dimension()))).then_some(Self {
            dimension,
            own,
            other,
        })
    }

    /// The statement that selects from the counters; `{value}` is the column of the dimension's own values.
    fn select<'a>(&'a self, table: &str, selected: &str) -> QueryBuilder<'a, Postgres> {
        // The smaller dimension is first in a key, except that a single value stands before dimension 0.
        let other = self.other.dimension();
        let is_first = other == CounterDimension::All || self.dimension.number() <= other.number();
        let (own_columns, other_columns) = (("dimension", "value"), ("other_dimension", "other_value"));
        let (own_columns, other_columns) =
            if is_first { (own_columns, other_columns) } else { (other_columns, own_columns) };
        let mut sql = QueryBuilder::new(format!(
            "select {} from {table} where {} = ",
            selected.replace("{value}", own_columns.1),
            own_columns.0
        ));
        sql.push_bind(self.dimension.number());
        if let Some(own) = &self.own {
            own.push_condition(own_columns.1, sql.push(" and "));
        }
        sql.push(format!(" and {} = ", other_columns.0)).push_bind(other.number());
        self.other.push_condition(other_columns.1, sql.push(" and "));
        sql
    }
}

/// A value and the sums of its counters.
const SUMS: &str = "{value} as value, sum(opportunities)::bigint as opportunities, sum(awarded)::bigint as awarded, \
                    sum(awarded_cents)::text as awarded_cents";

fn read_count(row: &PgRow) -> Result<u64, sqlx::Error> {
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
    /// The number of selected opportunities.
    pub(super) async fn count_selection(&mut self, selection: &ListSelection) -> Result<TotalCount, sqlx::Error> {
        if let Some(query) = selection.counter_filters().and_then(CounterQuery::for_total) {
            let table = self.client.in_schema("{schema}.counters");
            let mut sql = query.select(&table, "sum(opportunities)::bigint as opportunities");
            let count = read_count(&sql.build().fetch_one(&mut *self.transaction).await?)?;
            return Ok(TotalCount { count, exact: true });
        }
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
        let mut facets = Vec::new();
        for dimension in dimensions {
            let counted = CounterDimension::from(*dimension);
            let query = selection.counter_filters().and_then(|filters| CounterQuery::by_value(counted, filters));
            let ValueCounts { rows, exact } = match &query {
                Some(query) => ValueCounts { rows: self.count_by_counters(query).await?, exact: true },
                None => self.count_by_index(selection, counted).await?,
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
        let table = self.client.in_schema("{schema}.counters");
        let mut sql = query.select(&table, "{value} as value, sum(opportunities)::bigint as opportunities");
        sql.push(format!(" group by 1 having sum(opportunities) > 0 order by 2 desc, 1 limit {MAX_FACET_VALUES}"));
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| Ok((row.try_get("value")?, read_count(row)?))).collect()
    }

    async fn count_by_index(
        &mut self,
        selection: &ListSelection,
        dimension: CounterDimension,
    ) -> Result<ValueCounts, sqlx::Error> {
        let (table, column) = (self.client.in_schema("{schema}.opportunities"), column_of(dimension));
        // `read` is computed before the limit of values.
        let mut sql = QueryBuilder::new(format!(
            "select value, count(*) as opportunities, (sum(count(*)) over ())::bigint as read \
             from (select {column} as value from {table} where true"
        ));
        selection.push_lookup_conditions(&mut sql);
        sql.push(format!(
            " limit {}) as selected group by value order by 2 desc, 1 limit {}",
            COUNT_LIMIT + 1,
            MAX_FACET_VALUES + 1
        ));
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        let read = rows.first().map(|row| row.try_get::<i64, _>("read")).transpose()?.unwrap_or_default();
        let rows = rows.iter().map(|row| Ok((row.try_get::<Option<String>, _>("value")?, read_count(row)?)));
        Ok(ValueCounts::of_rows(rows.collect::<Result<Vec<_>, sqlx::Error>>()?, read.cast_unsigned()))
    }

    /// The figures by the values of a dimension, in the order of the values.
    pub(super) async fn fetch_value_totals(&mut self, query: &CounterQuery) -> Result<Vec<ValueTotals>, sqlx::Error> {
        let table = self.client.in_schema("{schema}.counters");
        let mut sql = query.select(&table, SUMS);
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
        let row = |value: Option<&str>, count| (value.map(str::to_owned), count);
        let counts = |without| ValueCounts::of_rows(vec![row(None, without), row(Some("SBA"), 201)], without + 201);
        let rows = vec![("SBA".to_owned(), 201)];
        assert_eq!(counts(799), ValueCounts { rows: rows.clone(), exact: true });
        assert_eq!(counts(800), ValueCounts { rows, exact: false }, "more may follow that have the value");
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let rows = (0..=MAX_FACET_VALUES).map(|value| (Some(value.to_string()), 1)).collect();
        assert_eq!(ValueCounts::of_rows(rows, 501).rows.len(), MAX_FACET_VALUES);
    }
}
