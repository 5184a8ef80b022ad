//! Single commands on a watchlist: a user saves an opportunity or removes it.

use std::sync::Arc;

use cqrs_es::{EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::Clock,
    event_store::IdempotencyStore,
    opportunity::OpportunityId,
    value::UserId,
    watchlist::{Watchlist, WatchlistCommand, WatchlistError},
};

use crate::{
    caller::Caller,
    command_execution::{CommandOutcome, execute_command},
    error::CommandError,
    precondition::CommandPreconditions,
};

type WatchlistServiceResult = Result<WatchlistCommandOutcome, CommandError<WatchlistError>>;

/// A command that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchlistCommandOutcome {
    /// The watchlist's version now: the sequence of its last event, 0 before the first.
    pub version: u64,
    /// The number of events that the command led to; 0 if it changed nothing.
    pub events: usize,
}

/// The use cases of watchlists.
pub struct WatchlistService<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S> WatchlistService<S>
where
    S: EventStore<Watchlist, AC = EventStoreAggregateContext<Watchlist>> + IdempotencyStore,
{
    /// Works on the log behind `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Saves an opportunity for a user; the time is now. Does not check that the opportunity exists: the id comes from
    /// a page that shows it.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the user has reached the maximum number of saved opportunities.
    pub async fn save_opportunity(
        &self,
        caller: &Caller,
        user: &UserId,
        opportunity_id: OpportunityId,
    ) -> WatchlistServiceResult {
        self.execute(caller, user, WatchlistCommand::Save { opportunity_id, at: self.clock.now() }).await
    }

    /// Removes a saved opportunity; the time is now.
    ///
    /// # Errors
    /// [`CommandError`] when the append fails.
    pub async fn unsave_opportunity(
        &self,
        caller: &Caller,
        user: &UserId,
        opportunity_id: OpportunityId,
    ) -> WatchlistServiceResult {
        self.execute(caller, user, WatchlistCommand::Unsave { opportunity_id, at: self.clock.now() }).await
    }

    /// Executes a command that carries its own time.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the watchlist's state forbids it.
    #[tracing::instrument(skip_all, fields(correlation.id = %caller.correlation_id))]
    pub async fn execute(&self, caller: &Caller, user: &UserId, command: WatchlistCommand) -> WatchlistServiceResult {
        let decide = |watchlist: &Watchlist| watchlist.decide(command.clone());
        let none = CommandPreconditions::default();
        let CommandOutcome { version, events, .. } =
            execute_command(&self.store, caller, user.as_str(), &none, decide).await?;
        Ok(WatchlistCommandOutcome { version, events })
    }
}
