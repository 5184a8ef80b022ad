//! What can be told about a visit.

use chrono::{DateTime, Utc};

use super::value::VisitUrl;
use crate::{opportunity::OpportunityId, value::UserId};

/// A step of one visit. Never refused; sending it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitCommand {
    /// A page was seen.
    View(RecordView),
    /// A link was clicked.
    Click(RecordClick),
}

/// A page was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// The page.
    pub page_url: VisitUrl,
    /// The page before it, if the browser says so.
    pub referrer: Option<VisitUrl>,
    /// Who saw it, if signed in.
    pub user_id: Option<UserId>,
    /// The opportunity that the page is about.
    pub opportunity_id: Option<OpportunityId>,
    /// When; digits finer than a microsecond are not kept.
    pub at: DateTime<Utc>,
}

/// A link was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordClick {
    /// The page with the link.
    pub page_url: VisitUrl,
    /// Where the link leads; a button leads nowhere.
    pub target_url: Option<VisitUrl>,
    /// Who clicked, if signed in.
    pub user_id: Option<UserId>,
    /// The opportunity that the click is about.
    pub opportunity_id: Option<OpportunityId>,
    /// When; digits finer than a microsecond are not kept.
    pub at: DateTime<Utc>,
}
