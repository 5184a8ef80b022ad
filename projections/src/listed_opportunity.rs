//! An opportunity as read models list it.

use chrono::{DateTime, Utc};

/// An opportunity as an item of a list; `C` is the form of the list's cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOpportunity<C> {
    /// The cursor of the page that begins after this item.
    pub cursor: C,
    /// Agency code and solicitation number.
    pub id: String,
    /// Sequence of the event that set these details.
    pub version: u64,
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
    /// Number of recorded awards.
    pub awards: u64,
    /// Sum of the awards in US cents; `None` while none has an amount.
    pub awarded_cents: Option<i64>,
}

impl<C> ListedOpportunity<C> {
    /// The same item with the cursor of another list.
    pub fn with_cursor<D>(self, cursor: D) -> ListedOpportunity<D> {
        ListedOpportunity {
            cursor,
            id: self.id,
            version: self.version,
            title: self.title,
            description: self.description,
            solicitation_number: self.solicitation_number,
            notice_id: self.notice_id,
            notice_type: self.notice_type,
            agency_code: self.agency_code,
            agency_name: self.agency_name,
            sub_tier: self.sub_tier,
            office: self.office,
            set_aside: self.set_aside,
            naics: self.naics,
            psc: self.psc,
            posted_at: self.posted_at,
            response_deadline: self.response_deadline,
            active: self.active,
            link: self.link,
            place_city: self.place_city,
            place_state: self.place_state,
            awards: self.awards,
            awarded_cents: self.awarded_cents,
        }
    }
}
