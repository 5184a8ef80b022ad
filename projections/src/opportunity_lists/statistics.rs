//! Figures over a selection: from counters under at most one restriction, else from all selected rows.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::NaiveDate;
use sqlx::{QueryBuilder, Row as _};

use super::{
    AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals,
    count::{CounterQuery, ValueTotals, read_totals},
    counter::CounterDimension,
    queries::ListReader,
    selection::ListSelection,
};

impl ListReader<'_> {
    /// Figures over the selected opportunities.
    pub(super) async fn fetch_statistics(&mut self, selection: &ListSelection) -> Result<SelectionStats, sqlx::Error> {
        let query = |dimension| {
            // Two restrictions would need counters by three values.
            let filters = selection.counter_filters().filter(|filters| filters.len() <= 1)?;
            CounterQuery::by_value(dimension, filters)
        };
        let queries =
            (query(CounterDimension::Agency), query(CounterDimension::NoticeType), query(CounterDimension::PostedDay));
        let (by_agency, by_type, by_day) = match queries {
            (Some(by_agency), Some(by_type), Some(by_day)) => (
                self.fetch_value_totals(&by_agency).await?,
                self.fetch_value_totals(&by_type).await?,
                self.fetch_value_totals(&by_day).await?,
            ),
            _ => self.aggregate_selection(selection).await?,
        };
        let names = self.load_agency_names(by_agency.iter().map(|agency| agency.value.as_str())).await?;
        Ok(assemble_statistics(by_agency, by_type, by_day, names))
    }

    /// Reads every selected row, within the time limit of a query.
    async fn aggregate_selection(
        &mut self,
        selection: &ListSelection,
    ) -> Result<(Vec<ValueTotals>, Vec<ValueTotals>, Vec<ValueTotals>), sqlx::Error> {
        let table = self.client.in_schema("{schema}.opportunities");
        let mut sql = QueryBuilder::new(format!(
            "select agency_code, notice_type, day, count(*) as opportunities, \
             count(*) filter (where awards > 0) as awarded, sum(awarded_cents)::text as awarded_cents \
             from (select agency_code, notice_type, awards, awarded_cents, \
             to_char(posted_at at time zone 'UTC', 'YYYY-MM-DD') as day from {table} where true"
        ));
        selection.push_lookup_conditions(&mut sql);
        sql.push(") as selected group by grouping sets ((agency_code), (notice_type), (day)) order by 1, 2, 3");
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
        Ok((by_agency, by_type, by_day))
    }
}

fn assemble_statistics(
    by_agency: Vec<ValueTotals>,
    by_type: Vec<ValueTotals>,
    by_day: Vec<ValueTotals>,
    mut names: BTreeMap<String, String>,
) -> SelectionStats {
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
