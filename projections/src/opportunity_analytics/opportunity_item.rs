//! An item of a list of opportunities, and a page of such a list.

use chrono::{DateTime, Utc};
use clickhouse::Row;
use serde::Deserialize;

use super::OpportunityCursor;
use crate::listed_opportunity::ListedOpportunity;

/// A page of a list of opportunities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityPage {
    /// The items of the page, newest first.
    pub items: Vec<OpportunityItem>,
    /// Number of items in the whole list.
    pub total: u64,
    /// Whether another page follows.
    pub has_next: bool,
}

/// An opportunity as an item of a list.
pub type OpportunityItem = ListedOpportunity<OpportunityCursor>;

/// The row that `page_ids.sql` selects: the ids of a page, found without reading the opportunities' texts.
#[derive(Debug, Row, Deserialize)]
pub(super) struct OpportunityIdRow {
    pub(super) id: String,
    /// Number of opportunities in the whole list.
    pub(super) total: u64,
}

/// The row that `list.sql` selects.
#[derive(Debug, Row, Deserialize)]
pub(super) struct OpportunityItemRow {
    id: String,
    sequence: u64,
    title: String,
    description: String,
    solicitation_number: String,
    notice_id: String,
    notice_type: String,
    agency_code: String,
    agency_name: String,
    sub_tier: String,
    office: String,
    set_aside: String,
    naics: String,
    psc: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    posted_at: DateTime<Utc>,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros::option")]
    response_deadline: Option<DateTime<Utc>>,
    active: Option<bool>,
    link: String,
    place_city: String,
    place_state: String,
    awards: u64,
    awarded_cents: Option<i64>,
}

impl From<OpportunityItemRow> for OpportunityItem {
    fn from(row: OpportunityItemRow) -> Self {
        // An empty column means that the notice does not have the value.
        let to_option = |text: String| (!text.is_empty()).then_some(text);
        Self {
            cursor: OpportunityCursor::after(row.posted_at, &row.id),
            id: row.id,
            version: row.sequence,
            title: row.title,
            description: to_option(row.description),
            solicitation_number: to_option(row.solicitation_number),
            notice_id: row.notice_id,
            notice_type: row.notice_type,
            agency_code: row.agency_code,
            agency_name: row.agency_name,
            sub_tier: to_option(row.sub_tier),
            office: to_option(row.office),
            set_aside: to_option(row.set_aside),
            naics: to_option(row.naics),
            psc: to_option(row.psc),
            posted_at: row.posted_at,
            response_deadline: row.response_deadline,
            active: row.active,
            link: to_option(row.link),
            place_city: to_option(row.place_city),
            place_state: to_option(row.place_state),
            awards: row.awards,
            awarded_cents: row.awarded_cents,
        }
    }
}
