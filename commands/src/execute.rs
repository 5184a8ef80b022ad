//! One command to one aggregate: load, decide, append, and anew when others change the same aggregate.

use cqrs_es::{Aggregate, EventStore, persist::EventStoreAggregateContext};

use crate::{caller::Caller, error::CommandError};

/// How often a command is decided anew when others change the same aggregate.
const MAX_ATTEMPTS: u32 = 5;

/// Where a stream stands after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Executed {
    /// The sequence of its last event.
    pub(crate) version: u64,
    /// How many events the command led to.
    pub(crate) events: usize,
}

/// Decides with `decide` over the stream `id`, and appends what follows.
pub(crate) async fn execute<A, S>(
    store: &S,
    caller: &Caller,
    id: &str,
    decide: impl Fn(&A) -> Result<Vec<A::Event>, A::Error>,
) -> Result<Executed, CommandError<A::Error>>
where
    A: Aggregate<Error: 'static>,
    S: EventStore<A, AC = EventStoreAggregateContext<A>>,
{
    let mut attempts_left = MAX_ATTEMPTS;
    loop {
        attempts_left -= 1;
        match attempt(store, caller, id, &decide).await {
            Err(CommandError::Conflict) if attempts_left > 0 => {}
            outcome => return outcome,
        }
    }
}

async fn attempt<A, S>(
    store: &S,
    caller: &Caller,
    id: &str,
    decide: impl Fn(&A) -> Result<Vec<A::Event>, A::Error>,
) -> Result<Executed, CommandError<A::Error>>
where
    A: Aggregate<Error: 'static>,
    S: EventStore<A, AC = EventStoreAggregateContext<A>>,
{
    let context = store.load_aggregate(id).await?;
    let events = decide(&context.aggregate).map_err(CommandError::Rejected)?;
    let executed = Executed {
        version: u64::try_from(context.current_sequence + events.len()).unwrap_or(u64::MAX),
        events: events.len(),
    };
    if !events.is_empty() {
        store.commit(events, context, caller.metadata().into_map()).await?;
    }
    Ok(executed)
}
