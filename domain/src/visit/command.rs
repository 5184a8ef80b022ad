//! The commands of a visit.

use chrono::{DateTime, Utc};

use super::value::VisitUrl;
use crate::{opportunity::OpportunityId, value::UserId};

/// A page view or click in one visit. Never refused; sending it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitCommand {
    /// A page view.
    View(RecordView),
    /// A click.
    Click(RecordClick),
}

/// A page view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// The page.
    pub page_url: VisitUrl,
    /// The page before it, if the browser sends it.
    pub referrer: Option<VisitUrl>,
    /// The user, if signed in.
    pub user_id: Option<UserId>,
    /// The opportunity that the page is about.
    pub opportunity_id: Option<OpportunityId>,
    /// The time of the view or click; truncated to microseconds when recorded.
    pub at: DateTime<Utc>,
}

/// A click on a link or button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordClick {
    /// The page with the link.
    pub page_url: VisitUrl,
    /// The URL of the link; `None` for a button.
    pub target_url: Option<VisitUrl>,
    /// The user, if signed in.
    pub user_id: Option<UserId>,
    /// The opportunity that the click is about.
    pub opportunity_id: Option<OpportunityId>,
    /// The time of the view or click; truncated to microseconds when recorded.
    pub at: DateTime<Utc>,
}
