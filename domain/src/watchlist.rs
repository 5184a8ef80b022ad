//! A watchlist: the opportunities and the searches that one user saved.
//!
//! The stream id is the user's id, so every user has a watchlist from the start; without events it is empty.

mod command;
mod error;
mod event;
mod saved_search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    command::WatchlistCommand,
    error::WatchlistError,
    event::WatchlistEvent,
    saved_search::{
        AgencyCode, MAX_CRITERIA, NotificationFrequency, SavedSearch, SearchCriteria, SearchId, SearchName, SearchText,
    },
};
use crate::aggregate::aggregate;
use crate::opportunity::OpportunityId;

/// Maximum number of opportunities that one user can have saved.
pub const MAX_SAVED_OPPORTUNITIES: usize = 10_000;

/// Maximum number of searches that one user can have saved.
pub const MAX_SAVED_SEARCHES: usize = 100;

/// State of one user's watchlist, rebuilt from its events. A watchlist has no phases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchlist {
    saved: BTreeSet<OpportunityId>,
    searches: BTreeMap<SearchId, SavedSearch>,
}

impl Watchlist {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`WatchlistError`] when another opportunity or search would be too many, or a search's name is taken.
    pub fn decide(&self, command: WatchlistCommand) -> Result<Vec<WatchlistEvent>, WatchlistError> {
        match command {
            WatchlistCommand::Save { opportunity_id, .. } if self.saved.contains(&opportunity_id) => Ok(vec![]),
            WatchlistCommand::Save { .. } if self.saved.len() >= MAX_SAVED_OPPORTUNITIES => Err(WatchlistError::Full),
            WatchlistCommand::Save { opportunity_id, at } => {
                Ok(vec![WatchlistEvent::OpportunitySaved { opportunity_id, at }])
            }
            WatchlistCommand::Unsave { opportunity_id, at } if self.saved.contains(&opportunity_id) => {
                Ok(vec![WatchlistEvent::OpportunityUnsaved { opportunity_id, at }])
            }
            WatchlistCommand::SaveSearch { search_id, search, at } => self.save_search(search_id, search, at),
            WatchlistCommand::RemoveSearch { search_id, at } if self.searches.contains_key(&search_id) => {
                Ok(vec![WatchlistEvent::SearchRemoved { search_id, at }])
            }
            WatchlistCommand::Unsave { .. } | WatchlistCommand::RemoveSearch { .. } => Ok(vec![]),
        }
    }

    fn save_search(
        &self,
        search_id: SearchId,
        search: SavedSearch,
        at: DateTime<Utc>,
    ) -> Result<Vec<WatchlistEvent>, WatchlistError> {
        let known = self.searches.get(&search_id);
        if known == Some(&search) {
            return Ok(vec![]);
        }
        if self.searches.iter().any(|(id, other)| *id != search_id && other.name == search.name) {
            return Err(WatchlistError::NameTaken);
        }
        if known.is_none() && self.searches.len() >= MAX_SAVED_SEARCHES {
            return Err(WatchlistError::TooManySearches);
        }
        Ok(vec![WatchlistEvent::SearchSaved { search_id, search, at }])
    }

    /// The saved searches, in the order of their ids.
    pub fn saved_searches(&self) -> impl ExactSizeIterator<Item = (SearchId, &SavedSearch)> {
        self.searches.iter().map(|(id, search)| (*id, search))
    }

    /// The saved opportunities, in the order of their ids.
    pub fn saved_opportunities(&self) -> impl ExactSizeIterator<Item = &OpportunityId> {
        self.saved.iter()
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: WatchlistEvent) {
        match event {
            WatchlistEvent::OpportunitySaved { opportunity_id, .. } => {
                self.saved.insert(opportunity_id);
            }
            WatchlistEvent::OpportunityUnsaved { opportunity_id, .. } => {
                self.saved.remove(&opportunity_id);
            }
            WatchlistEvent::SearchSaved { search_id, search, .. } => {
                self.searches.insert(search_id, search);
            }
            WatchlistEvent::SearchRemoved { search_id, .. } => {
                self.searches.remove(&search_id);
            }
        }
    }
}

aggregate!(Watchlist, "watchlist", WatchlistCommand, WatchlistEvent, WatchlistError);
