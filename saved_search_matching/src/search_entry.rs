//! A saved search as the index holds it.

use std::sync::Arc;

use domain::{
    value::PUBLIC_TENANT,
    watchlist::{NotificationFrequency, SavedSearch, SearchCriteria, SearchId},
};

use crate::MatchedOpportunity;

/// Identifies a saved search: ids are unique within one user's watchlist only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SearchKey {
    /// The tenant.
    pub tenant_id: Arc<str>,
    /// The user who saved it.
    pub user_id: Arc<str>,
    /// The search's id.
    pub search_id: SearchId,
}

/// A saved search that notifies, or is part of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEntry {
    /// Its identity.
    pub key: SearchKey,
    /// Its name.
    pub name: Box<str>,
    /// When the user is notified.
    pub notify: NotificationFrequency,
    /// Only opportunities recorded after this position of the log match: those before it were there when the search was
    /// saved.
    pub saved_at_position: u64,
    /// Position of the event since which it notifies without interruption, even if its criteria have changed.
    pub active_since: u64,
    /// Text that an opportunity must be about.
    pub text: Option<Box<str>>,
    /// Codes of agencies, ascending; empty means any.
    pub agencies: Box<[Box<str>]>,
    /// Prefixes of NAICS codes, ascending; empty means any.
    pub naics: Box<[Box<str>]>,
    /// Codes of set-asides, ascending; empty means any.
    pub set_asides: Box<[Box<str>]>,
}

impl SearchEntry {
    /// The entry of a search that was saved at this position.
    pub fn new(key: SearchKey, search: &SavedSearch, saved_at_position: u64) -> Self {
        let SearchCriteria { text, agencies, naics, set_asides } = &search.criteria;
        Self {
            key,
            name: search.name.as_str().into(),
            notify: search.notify,
            saved_at_position,
            active_since: saved_at_position,
            text: text.as_ref().map(|text| text.as_str().into()),
            agencies: agencies.iter().map(|code| code.as_str().into()).collect(),
            naics: naics.iter().map(|code| code.as_str().into()).collect(),
            set_asides: set_asides.iter().map(|code| code.as_str().into()).collect(),
        }
    }

    /// This entry, which replaces `before`, and is active since then. Where its criteria are the same, it keeps the
    /// position: a new name or frequency makes no opportunity one that was there before.
    #[must_use]
    pub fn continued_from(mut self, before: Option<&Self>) -> Self {
        let criteria =
            |entry: &Self| (entry.text.clone(), entry.agencies.clone(), entry.naics.clone(), entry.set_asides.clone());
        if let Some(before) = before {
            self.active_since = before.active_since;
            if criteria(before) == criteria(&self) {
                self.saved_at_position = before.saved_at_position;
            }
        }
        self
    }

    /// Whether everything but the text matches. An absent value of the opportunity matches no criterion.
    pub fn matches_structure(&self, opportunity: &MatchedOpportunity) -> bool {
        let document = &opportunity.document;
        let is_visible = opportunity.tenant_id == PUBLIC_TENANT || opportunity.tenant_id == *self.key.tenant_id;
        let has = |codes: &[Box<str>], code: &str| codes.binary_search_by(|found| (**found).cmp(code)).is_ok();
        is_visible
            && opportunity.position > self.saved_at_position
            && (self.agencies.is_empty() || has(&self.agencies, document.agency_code()))
            && (self.set_asides.is_empty() || document.set_aside().is_some_and(|code| has(&self.set_asides, code)))
            && (self.naics.is_empty() || document.naics_prefixes().iter().any(|prefix| has(&self.naics, prefix)))
    }
}
