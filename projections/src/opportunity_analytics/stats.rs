//! Figures over opportunities: totals, by agency, by notice type, by day.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::NaiveDate;
use clickhouse::Row;
use serde::Deserialize;

use crate::selection_stats::{AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals};

/// The row that `stats.sql` selects.
#[derive(Debug, Row, Deserialize)]
pub(super) struct StatsRow {
    is_day: bool,
    agency_code: String,
    agency_name: String,
    notice_type: String,
    #[serde(with = "clickhouse::serde::chrono::date32")]
    day: NaiveDate,
    opportunities: u64,
    awarded: u64,
    awarded_cents: i64,
}

impl SelectionTotals {
    fn add(&mut self, other: Self) {
        self.opportunities += other.opportunities;
        self.awarded += other.awarded;
        self.awarded_cents = self.awarded_cents.saturating_add(other.awarded_cents);
    }
}

impl SelectionStats {
    /// Sums the rows of `stats.sql`. It groups by day, and by agency and notice type together, because two groupings
    /// cost the server half as much as four, and there are few agencies and types to sum up here.
    pub(super) fn from_rows(rows: Vec<StatsRow>) -> Self {
        let mut stats = Self::default();
        let (mut agencies, mut types) =
            (BTreeMap::<String, AgencyStats>::new(), BTreeMap::<String, SelectionTotals>::new());
        for row in rows {
            let StatsRow { opportunities, awarded, awarded_cents, day, .. } = row;
            let figures = SelectionTotals { opportunities, awarded, awarded_cents };
            if row.is_day {
                stats.by_day.push(DailyStats { day, totals: figures });
                continue;
            }
            stats.total.add(figures);
            types.entry(row.notice_type).or_default().add(figures);
            let agency = agencies.entry(row.agency_code.clone()).or_insert_with(|| AgencyStats {
                code: row.agency_code,
                name: row.agency_name,
                totals: SelectionTotals::default(),
            });
            agency.totals.add(figures);
        }
        stats.by_agency = agencies.into_values().collect();
        stats.by_type =
            types.into_iter().map(|(notice_type, figures)| NoticeTypeStats { notice_type, totals: figures }).collect();
        // Both sorts are stable: equal counts stay in the order of their codes.
        stats.by_agency.sort_by_key(|stats| Reverse(stats.totals.opportunities));
        stats.by_type.sort_by_key(|stats| Reverse(stats.totals.opportunities));
        stats.by_day.sort_by_key(|stats| stats.day);
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(is_day: bool, agency: &str, notice_type: &str, opportunities: u64, awarded_cents: i64) -> StatsRow {
        StatsRow {
            is_day,
            agency_code: agency.to_owned(),
            agency_name: format!("Department {agency}"),
            notice_type: notice_type.to_owned(),
            day: NaiveDate::default(),
            opportunities,
            awarded: 1,
            awarded_cents,
        }
    }

    #[test]
    fn rows_are_summed_by_agency_by_type_and_in_total() {
        let groups = [("036", "Award", 2), ("036", "Solicitation", 3), ("097", "Award", 5)];
        let mut rows: Vec<_> =
            groups.into_iter().map(|(agency, kind, count)| row(false, agency, kind, count, 7)).collect();
        rows.push(row(true, "", "", 10, 21));

        let stats = SelectionStats::from_rows(rows);

        assert_eq!(stats.total, SelectionTotals { opportunities: 10, awarded: 3, awarded_cents: 21 });
        assert_eq!(stats.by_day.iter().map(|day| day.totals.opportunities).collect::<Vec<_>>(), [10]);
        let agencies = stats.by_agency.iter().map(|agency| (agency.code.as_str(), agency.totals.opportunities));
        assert_eq!(agencies.collect::<Vec<_>>(), [("036", 5), ("097", 5)]);
        assert_eq!(stats.by_agency[0].name, "Department 036");
        let types = stats.by_type.iter().map(|kind| (kind.notice_type.as_str(), kind.totals.opportunities));
        assert_eq!(types.collect::<Vec<_>>(), [("Award", 7), ("Solicitation", 3)]);
    }

    #[test]
    fn a_sum_that_overflows_saturates() {
        let rows = vec![row(false, "036", "Award", 1, i64::MAX), row(false, "036", "Solicitation", 1, 1)];
        assert_eq!(SelectionStats::from_rows(rows).total.awarded_cents, i64::MAX);
    }
}
