//! Figures over opportunities: in all, by agency, by notice type, by day.

use chrono::NaiveDate;
use clickhouse::Row;
use serde::Deserialize;

/// Figures over a choice of opportunities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Over all of them.
    pub total: Bucket,
    /// By agency, the one with most opportunities first.
    pub by_agency: Vec<AgencyBucket>,
    /// By notice type, the one with most opportunities first.
    pub by_type: Vec<TypeBucket>,
    /// By the UTC day on which the current notice was published, earliest first.
    pub by_day: Vec<DayBucket>,
}

/// The figures themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Opportunities.
    pub opportunities: u64,
    /// Those of them with an award.
    pub awarded: u64,
    /// Sum of their awards in cents of a US dollar.
    pub awarded_cents: i64,
}

/// The figures of one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyBucket {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its figures.
    pub figures: Bucket,
}

/// The figures of one notice type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeBucket {
    /// The type, as published.
    pub notice_type: String,
    /// Its figures.
    pub figures: Bucket,
}

/// The figures of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayBucket {
    /// The UTC day.
    pub day: NaiveDate,
    /// Its figures.
    pub figures: Bucket,
}

/// What the rows of `stats.sql` are grouped by.
const BY_DAY: u8 = 3;
const BY_TYPE: u8 = 4;
const BY_AGENCY: u8 = 5;

/// The row that `stats.sql` selects.
#[derive(Debug, Row, Deserialize)]
pub(super) struct StatsRow {
    level: u8,
    agency_code: String,
    agency_name: String,
    notice_type: String,
    #[serde(with = "clickhouse::serde::chrono::date32")]
    day: NaiveDate,
    opportunities: u64,
    awarded: u64,
    awarded_cents: i64,
}

impl Stats {
    pub(super) fn from_rows(rows: Vec<StatsRow>) -> Self {
        let mut stats = Self::default();
        for row in rows {
            let StatsRow { opportunities, awarded, awarded_cents, .. } = row;
            let figures = Bucket { opportunities, awarded, awarded_cents };
            match row.level {
                BY_AGENCY => {
                    stats.by_agency.push(AgencyBucket { code: row.agency_code, name: row.agency_name, figures });
                }
                BY_TYPE => stats.by_type.push(TypeBucket { notice_type: row.notice_type, figures }),
                BY_DAY => stats.by_day.push(DayBucket { day: row.day, figures }),
                _ => stats.total = figures,
            }
        }
        stats.by_day.sort_by_key(|bucket| bucket.day);
        stats
    }
}
