//! Single commands to a watchlist: a user saves an opportunity or lets go of it.

use std::sync::Arc;

use cqrs_es::{EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::Clock,
    opportunity::OpportunityId,
    store::CommandLog,
    value::UserId,
    watchlist::{Watchlist, WatchlistCommand, WatchlistError},
};

use crate::{
    caller::Caller,
    condition::Conditions,
    error::CommandError,
    execute::{Executed, execute},
};

type Outcome = Result<Accepted, CommandError<WatchlistError>>;

/// A command that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The watchlist's version now: the sequence of its last event, 0 before the first.
    pub version: u64,
    /// How many events the command led to; 0 when its wish was already met.
    pub events: usize,
}

/// The use cases of watchlists.
pub struct Watchlists<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S> Watchlists<S>
where
    S: EventStore<Watchlist, AC = EventStoreAggregateContext<Watchlist>> + CommandLog,
{
    /// Works on the log behind `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Saves an opportunity for a user; the time is now. Whether there is such an opportunity is not asked: the id
    /// comes from a page that shows it.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the user has saved as many as one may.
    pub async fn save(&self, caller: &Caller, user: &UserId, opportunity_id: OpportunityId) -> Outcome {
        self.record(caller, user, WatchlistCommand::Save { opportunity_id, at: self.clock.now() }).await
    }

    /// Lets go of a saved opportunity; the time is now.
    ///
    /// # Errors
    /// [`CommandError`] when the log does not take it.
    pub async fn unsave(&self, caller: &Caller, user: &UserId, opportunity_id: OpportunityId) -> Outcome {
        self.record(caller, user, WatchlistCommand::Unsave { opportunity_id, at: self.clock.now() }).await
    }

    /// Records a wish that was made at a time of its own.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the watchlist's state forbids it.
    #[tracing::instrument(skip_all, fields(correlation.id = %caller.correlation_id))]
    pub async fn record(&self, caller: &Caller, user: &UserId, command: WatchlistCommand) -> Outcome {
        let decide = |watchlist: &Watchlist| watchlist.decide(command.clone());
        let none = Conditions::default();
        let Executed { version, events, .. } = execute(&self.store, caller, user.as_str(), &none, decide).await?;
        Ok(Accepted { version, events })
    }
}
