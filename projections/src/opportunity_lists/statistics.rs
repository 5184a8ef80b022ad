//! Figures over a selection: from counters where there are counters for it, else from a bounded number of rows.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::NaiveDate;
use sqlx::{QueryBuilder, Row as _};

use super::{
    AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals,
    count::{CounterQuery, ValueTotals, read_totals},
    counter::CounterDimension,
    queries::ListReader,
    selection::{CountedSelection, ListSelection, dimension_column},
};

/// Opportunities that are read at most for figures that no counter has.
const MAX_READ_OPPORTUNITIES: u64 = 10_000;

/// Figures by value, and whether they are of all selected opportunities.
struct ReadFigures {
    by_agency: Vec<ValueTotals>,
    by_type: Vec<ValueTotals>,
    by_day: Vec<ValueTotals>,
    is_lower_bound: bool,
}

impl ReadFigures {
    fn add(&mut self, others: Self) {
        add_totals(&mut self.by_agency, others.by_agency);
        add_totals(&mut self.by_type, others.by_type);
        add_totals(&mut self.by_day, others.by_day);
        self.is_lower_bound |= others.is_lower_bound;
    }
}

/// Adds figures by value; both are in the order of the values.
fn add_totals(sums: &mut Vec<ValueTotals>, others: Vec<ValueTotals>) {
    for other in others {
        match sums.binary_search_by(|sum| sum.value.cmp(&other.value)) {
            Ok(index) => {
                if let Some(sum) = sums.get_mut(index) {
                    sum.totals.opportunities += other.totals.opportunities;
                    sum.totals.awarded += other.totals.awarded;
                    sum.totals.awarded_cents = sum.totals.awarded_cents.saturating_add(other.totals.awarded_cents);
                }
            }
            Err(index) => sums.insert(index, other),
        }
    }
}

impl ListReader<'_> {
    /// Figures over the selected opportunities.
    pub(super) async fn fetch_statistics(&mut self, selection: &ListSelection) -> Result<SelectionStats, sqlx::Error> {
        let CountedSelection { filters, partial_days } = selection.counted_selection();
        let query = |dimension| CounterQuery::grouped_by(dimension, filters.clone()?);
        let queries =
            (query(CounterDimension::Agency), query(CounterDimension::NoticeType), query(CounterDimension::PostedDay));
        let figures = match queries {
            (Some(by_agency), Some(by_type), Some(by_day)) => {
                let mut figures = ReadFigures {
                    by_agency: self.fetch_value_totals(&by_agency).await?,
                    by_type: self.fetch_value_totals(&by_type).await?,
                    by_day: self.fetch_value_totals(&by_day).await?,
                    is_lower_bound: false,
                };
                for partial_day in &partial_days {
                    figures.add(self.aggregate_selection(partial_day).await?);
                }
                figures
            }
            _ => self.aggregate_selection(selection).await?,
        };
        let names = self.load_agency_names(figures.by_agency.iter().map(|agency| agency.value.as_str())).await?;
        Ok(assemble_statistics(figures, names))
    }

    /// Reads the selected rows, up to a bound.
    async fn aggregate_selection(&mut self, selection: &ListSelection) -> Result<ReadFigures, sqlx::Error> {
        let table = self.client.in_schema("{schema}.opportunities");
        let day = dimension_column(CounterDimension::PostedDay);
        let mut sql = QueryBuilder::new(format!(
            "select agency_code, notice_type, day, count(*) as opportunities, \
             count(*) filter (where awards > 0) as awarded, sum(awarded_cents)::text as awarded_cents \
             from (select agency_code, notice_type, awards, awarded_cents, {day} as day from {table} where true"
        ));
        selection.push_lookup_conditions(&mut sql);
        sql.push(format!(
            " limit {}) as selected group by grouping sets ((agency_code), (notice_type), (day)) order by 1, 2, 3",
            MAX_READ_OPPORTUNITIES + 1
        ));
        let (mut by_agency, mut by_type, mut by_day) = (vec![], vec![], vec![]);
        for row in sql.build().fetch_all(&mut *self.transaction).await? {
            let totals = read_totals(&row)?;
            for (column, group) in
                [("agency_code", &mut by_agency), ("notice_type", &mut by_type), ("day", &mut by_day)]
            {
                if let Some(value) = row.try_get::<Option<String>, _>(column)? {
                    group.push(ValueTotals { value, totals });
                }
            }
        }
        // Every opportunity has exactly one type.
        let read: u64 = by_type.iter().map(|by_type| by_type.totals.opportunities).sum();
        Ok(ReadFigures { by_agency, by_type, by_day, is_lower_bound: read > MAX_READ_OPPORTUNITIES })
    }
}

fn assemble_statistics(figures: ReadFigures, mut names: BTreeMap<String, String>) -> SelectionStats {
    let ReadFigures { by_agency, by_type, by_day, is_lower_bound } = figures;
    // Every opportunity has exactly one type.
    let total = by_type.iter().fold(SelectionTotals::default(), |sum, by_type| SelectionTotals {
        opportunities: sum.opportunities + by_type.totals.opportunities,
        awarded: sum.awarded + by_type.totals.awarded,
        awarded_cents: sum.awarded_cents.saturating_add(by_type.totals.awarded_cents),
    });
    let agency = |ValueTotals { value, totals }: ValueTotals| {
        let name = names.remove(&value).unwrap_or_default();
        AgencyStats { code: value, name, totals }
    };
    let day = |ValueTotals { value, totals }: ValueTotals| {
        value.parse::<NaiveDate>().ok().map(|day| DailyStats { day, totals })
    };
    let notice_type = |ValueTotals { value, totals }: ValueTotals| NoticeTypeStats { notice_type: value, totals };
    let mut stats = SelectionStats {
        is_lower_bound,
        total,
        by_agency: by_agency.into_iter().map(agency).collect(),
        by_type: by_type.into_iter().map(notice_type).collect(),
        by_day: by_day.into_iter().filter_map(day).collect(),
    };
    // Both sorts are stable: equal counts stay in the order of their values.
    stats.by_agency.sort_by_key(|stats| Reverse(stats.totals.opportunities));
    stats.by_type.sort_by_key(|stats| Reverse(stats.totals.opportunities));
    stats.by_day.sort_by_key(|stats| stats.day);
    stats
}
