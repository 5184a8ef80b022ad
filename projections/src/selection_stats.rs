//! Figures over opportunities: totals, by agency, by notice type, by day.

use chrono::NaiveDate;

/// Figures over selected opportunities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionStats {
    /// Whether more opportunities are selected than the figures are of.
    pub is_lower_bound: bool,
    /// Totals of the whole selection.
    pub total: SelectionTotals,
    /// By agency, the one with the most opportunities first; equal counts in the order of the code.
    pub by_agency: Vec<AgencyStats>,
    /// By notice type, the one with the most opportunities first; equal counts in the order of the type.
    pub by_type: Vec<NoticeTypeStats>,
    /// By the UTC day on which the current notice was published, earliest first.
    pub by_day: Vec<DailyStats>,
}

/// Counts and award amount of a group of opportunities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SelectionTotals {
    /// Number of opportunities.
    pub opportunities: u64,
    /// Number of opportunities with an award.
    pub awarded: u64,
    /// Sum of the awards in US cents; saturates.
    pub awarded_cents: i64,
}

/// The figures of one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyStats {
    /// The agency's code.
    pub code: String,
    /// The agency's name in its newest notice.
    pub name: String,
    /// The agency's figures.
    pub totals: SelectionTotals,
}

/// The figures of one notice type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeTypeStats {
    /// The type, as published.
    pub notice_type: String,
    /// The figures of the type.
    pub totals: SelectionTotals,
}

/// The figures of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyStats {
    /// The UTC day.
    pub day: NaiveDate,
    /// The figures of the day.
    pub totals: SelectionTotals,
}
