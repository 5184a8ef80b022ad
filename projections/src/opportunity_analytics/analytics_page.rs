//! An item of a list of opportunities, and a page of such a list.

use clickhouse::Row;
use serde::Deserialize;

use super::AnalyticsCursor;
use crate::listed_opportunity::ListedOpportunity;

/// A page of a list of opportunities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsPage {
    /// The items of the page, newest first.
    pub items: Vec<AnalyticsItem>,
    /// Number of items in the whole list.
    pub total: u64,
    /// Whether another page follows.
    pub has_next: bool,
}

/// An opportunity as an item of a list.
pub type AnalyticsItem = ListedOpportunity<AnalyticsCursor>;

/// The row that `page_ids.sql` selects: the ids of a page, found without reading the opportunities' texts.
#[derive(Debug, Row, Deserialize)]
pub(super) struct OpportunityIdRow {
    pub(super) id: String,
    /// Number of opportunities in the whole list.
    pub(super) total: u64,
}

/// The row that `award_totals.sql` selects: the awards of one opportunity.
#[derive(Debug, Row, Deserialize)]
pub(super) struct AwardTotalsRow {
    pub(super) opportunity_id: String,
    pub(super) awards: u64,
    /// Sum in US cents, at most the largest value of the type; `None` while no award has an amount.
    pub(super) awarded_cents: Option<i64>,
}
