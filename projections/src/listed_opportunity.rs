//! An opportunity as read models list it.

use chrono::{DateTime, Utc};

/// The details of an opportunity, as its current notice states them. An empty text counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListEntry {
    /// Agency code and solicitation number.
    pub id: String,
    /// Sequence of the event that set these details.
    pub sequence: i64,
    /// Title.
    pub title: String,
    /// Description.
    pub description: Option<String>,
    /// The solicitation's number at the agency.
    pub solicitation_number: Option<String>,
    /// Id of the current notice.
    pub notice_id: String,
    /// Type of the current notice, as published.
    pub notice_type: String,
    /// The agency's code.
    pub agency_code: String,
    /// The agency's name.
    pub agency_name: String,
    /// The agency below the department.
    pub sub_tier: Option<String>,
    /// The contracting office.
    pub office: Option<String>,
    /// Set-aside code.
    pub set_aside: Option<String>,
    /// Industry code.
    pub naics: Option<String>,
    /// Product or service code.
    pub psc: Option<String>,
    /// When the current notice was published.
    pub posted_at: DateTime<Utc>,
    /// Response deadline.
    pub response_deadline: Option<DateTime<Utc>>,
    /// Whether SAM.gov lists it as active.
    pub active: Option<bool>,
    /// URL of its page on SAM.gov.
    pub link: Option<String>,
    /// City where the work is done.
    pub place_city: Option<String>,
    /// State where the work is done.
    pub place_state: Option<String>,
}

/// An opportunity as an item of a list; `C` is the form of the list's cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOpportunity<C> {
    /// The cursor of the page that begins after this item.
    pub cursor: C,
    /// Its details.
    pub entry: ListEntry,
    /// Number of recorded awards.
    pub awards: u64,
    /// Sum of the awards in US cents; `None` while none has an amount.
    pub awarded_cents: Option<i64>,
}

impl<C> ListedOpportunity<C> {
    /// The same item with the cursor of another list.
    pub fn with_cursor<D>(self, cursor: D) -> ListedOpportunity<D> {
        let Self { cursor: _, entry, awards, awarded_cents } = self;
        ListedOpportunity { cursor, entry, awards, awarded_cents }
    }
}
