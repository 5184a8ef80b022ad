//! Searches that have ended: removed, set to notify never, or of a user who has left.

use chrono::{DateTime, Utc};
use domain::{
    company::CompanyEvent,
    envelope::{EventDecodeError, RawEnvelope},
    watchlist::{NotificationFrequency, WatchlistEvent},
};

use crate::SearchKey;

/// Which searches have ended, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSearches {
    /// The tenant.
    pub(crate) tenant_id: String,
    /// Searches of this user; `None` means all of the tenant.
    pub(crate) user_id: Option<String>,
    /// This search of the user; `None` means all of them.
    pub(crate) search: Option<SearchKey>,
    /// When that was recorded: what matched later belongs to a search that was saved again.
    pub(crate) at: DateTime<Utc>,
}

impl EndedSearches {
    /// The searches that an event ends; `None` for other events.
    ///
    /// # Errors
    /// [`EventDecodeError`] for an event of a watchlist or a company that this release does not know.
    pub(crate) fn from_event(event: &RawEnvelope) -> Result<Option<Self>, EventDecodeError> {
        match event.aggregate_type.as_str() {
            "watchlist" => Self::from_watchlist_event(event),
            "company" => Self::from_company_event(event),
            _ => Ok(None),
        }
    }

    fn from_watchlist_event(event: &RawEnvelope) -> Result<Option<Self>, EventDecodeError> {
        let search_id = match event.decode::<WatchlistEvent>()? {
            WatchlistEvent::SearchRemoved { search_id, .. } => search_id,
            WatchlistEvent::SearchSaved { search_id, search, .. } if search.notify == NotificationFrequency::Never => {
                search_id
            }
            WatchlistEvent::SearchSaved { .. }
            | WatchlistEvent::OpportunitySaved { .. }
            | WatchlistEvent::OpportunityUnsaved { .. } => return Ok(None),
        };
        let user = event.local_id();
        let search = SearchKey { tenant_id: event.tenant_id.as_str().into(), user_id: user.into(), search_id };
        Ok(Some(Self::new(event, Some(user.to_owned()), Some(search))))
    }

    fn from_company_event(event: &RawEnvelope) -> Result<Option<Self>, EventDecodeError> {
        Ok(match event.decode::<CompanyEvent>()? {
            CompanyEvent::MemberRemoved { user, .. } => Some(Self::new(event, Some(user.as_str().to_owned()), None)),
            CompanyEvent::Closed { .. } => Some(Self::new(event, None, None)),
            CompanyEvent::Registered { .. }
            | CompanyEvent::ProfileChanged { .. }
            | CompanyEvent::MemberAdded { .. }
            | CompanyEvent::RoleChanged { .. }
            | CompanyEvent::ApiKeyIssued { .. }
            | CompanyEvent::ApiKeyRevoked { .. } => None,
        })
    }

    fn new(event: &RawEnvelope, user_id: Option<String>, search: Option<SearchKey>) -> Self {
        Self { tenant_id: event.tenant_id.clone(), user_id, search, at: event.recorded_at }
    }

    /// Whether this search is one of them.
    pub(crate) fn contains(&self, search: &SearchKey) -> bool {
        *search.tenant_id == self.tenant_id
            && self.user_id.as_deref().is_none_or(|user| *search.user_id == *user)
            && self.search.as_ref().is_none_or(|ended| ended == search)
    }
}
