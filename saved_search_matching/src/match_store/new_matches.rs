//! The matches of a search in a batch that are not recorded yet.

use std::collections::HashSet;

use domain::value::UserId;
use processes::{
    InputCause, InstanceKey,
    saved_search_alert_process::{AlertedSearch, MatchAnnouncement, SavedSearchAlertInput, SavedSearchMatch},
};
use uuid::Uuid;

use super::match_id;
use crate::{MatchedOpportunity, SearchMatches, alert_window::AlertWindow};

/// New matches of one search.
pub(super) struct NewMatches<'a> {
    pub(super) found: &'a SearchMatches,
    /// With the ids of the matches.
    pub(super) opportunities: Vec<(Uuid, &'a MatchedOpportunity)>,
    /// What causes the instance, and the number of those that are only counted.
    pub(super) first: &'a MatchedOpportunity,
    pub(super) window: AlertWindow,
}

impl<'a> NewMatches<'a> {
    /// Selects the matches whose ids are not among `known`; `None` if there are none.
    pub(super) fn select(
        found: &'a SearchMatches,
        batch: &[&'a MatchedOpportunity],
        known: &HashSet<Uuid>,
        window: AlertWindow,
    ) -> Option<Self> {
        let mut seen = HashSet::new();
        let opportunities: Vec<_> = found
            .opportunities
            .iter()
            .filter_map(|index| batch.get(*index).copied())
            .map(|opportunity| (match_id(&found.key, &opportunity.id), opportunity))
            .filter(|(id, _)| !known.contains(id) && seen.insert(*id))
            .collect();
        let counted = || batch.last().copied().filter(|_| found.more > 0);
        let first = opportunities.first().map(|(_, opportunity)| *opportunity).or_else(counted)?;
        Some(Self { found, opportunities, first, window })
    }

    pub(super) fn instance_key(&self) -> InstanceKey {
        self.window.instance_key(&self.found.key)
    }

    /// The input of the process; `None` for a user whose id is no id, which no event has.
    pub(super) fn input(&self, found: SavedSearchMatch) -> Option<SavedSearchAlertInput> {
        let search = AlertedSearch {
            search_id: self.found.key.search_id,
            name: self.found.name.to_string(),
            user: UserId::try_new(&self.found.key.user_id).ok()?,
            notify: self.found.notify,
            window: self.window.name(),
        };
        Some(SavedSearchAlertInput { search, found })
    }

    /// The cause of an input about the match with this id, found by an event. The same match may be recorded again: after its
    /// retention, by an amendment, or when the search has been active again. Its command then has another key, since the
    /// log knows the first one.
    pub(super) fn cause(&self, id: Uuid, event: &MatchedOpportunity) -> InputCause {
        let MatchedOpportunity { event_id, correlation_id, traceparent, .. } = event;
        let id = Uuid::new_v5(&id, format!("{event_id} {}", self.found.active_since).as_bytes());
        InputCause::from_event(id, *event_id, *correlation_id, traceparent)
    }
}

/// What a notification says about an opportunity.
pub(super) fn announcement(opportunity: &MatchedOpportunity) -> MatchAnnouncement {
    let document = &opportunity.document;
    let mut summary = format!("{} of {}", document.notice_type(), document.agency_name());
    if let Some(set_aside) = document.set_aside() {
        summary.push_str(", set aside for ");
        summary.push_str(set_aside);
    }
    if let Some(deadline) = document.response_deadline() {
        summary.push_str(&deadline.format(", responses by %Y-%m-%d %H:%M UTC").to_string());
    }
    summary.push('.');
    MatchAnnouncement { opportunity_id: opportunity.id.clone(), title: document.title().to_owned(), summary }
}
