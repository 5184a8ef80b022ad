//! A watchlist: the opportunities that one user saved.
//!
//! Its stream is the user's id, so that a user has one watchlist from the start, and it is empty.

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;
mod upcast;

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::LINEAGES;
pub use self::{command::WatchlistCommand, error::WatchlistError, event::WatchlistEvent};
use crate::opportunity::OpportunityId;

/// How many opportunities one user may keep saved at the same time.
pub const MAX_SAVED: usize = 10_000;

/// State of one user's watchlist, rebuilt from its events. Nothing but a set: a watchlist has no phases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchlist {
    saved: BTreeSet<OpportunityId>,
}

impl Watchlist {
    /// Decides what a command changes. An empty answer means the wish is already met.
    ///
    /// # Errors
    /// [`WatchlistError::Full`] when another opportunity would be too many.
    pub fn decide(&self, command: WatchlistCommand) -> Result<Vec<WatchlistEvent>, WatchlistError> {
        match command {
            WatchlistCommand::Save { opportunity_id, .. } if self.saved.contains(&opportunity_id) => Ok(vec![]),
            WatchlistCommand::Save { .. } if self.saved.len() >= MAX_SAVED => Err(WatchlistError::Full),
            WatchlistCommand::Save { opportunity_id, at } => {
                Ok(vec![WatchlistEvent::OpportunitySaved { opportunity_id, at }])
            }
            WatchlistCommand::Unsave { opportunity_id, at } if self.saved.contains(&opportunity_id) => {
                Ok(vec![WatchlistEvent::OpportunityUnsaved { opportunity_id, at }])
            }
            WatchlistCommand::Unsave { .. } => Ok(vec![]),
        }
    }

    /// What is saved, in the order of the ids.
    pub fn saved(&self) -> impl ExactSizeIterator<Item = &OpportunityId> {
        self.saved.iter()
    }

    /// Folds one event into the state. Never fails and never judges: it happened.
    pub fn evolve(&mut self, event: WatchlistEvent) {
        match event {
            WatchlistEvent::OpportunitySaved { opportunity_id, .. } => {
                self.saved.insert(opportunity_id);
            }
            WatchlistEvent::OpportunityUnsaved { opportunity_id, .. } => {
                self.saved.remove(&opportunity_id);
            }
        }
    }
}

impl Aggregate for Watchlist {
    const TYPE: &'static str = "watchlist";

    type Command = WatchlistCommand;
    type Event = WatchlistEvent;
    type Error = WatchlistError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.evolve(event);
    }
}
