//! Executes one command on one aggregate: load, decide, append; again after a conflict.

use cqrs_es::{Aggregate, DomainEvent, EventStore, persist::EventStoreAggregateContext};
use domain::{
    envelope::EventMetadata,
    event_store::{CommandBatchStore, DecidedCommand, IdempotencyStore, ProcessedCommand},
};

use tracing::{Instrument, Span};

use crate::{
    caller::Caller,
    command_metrics::{EventSource, count_events},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};

/// Maximum number of attempts to decide a command when others change the same aggregate.
pub(crate) const MAX_ATTEMPTS: u32 = 5;

/// The state of a stream after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// The stream.
    pub aggregate_id: String,
    /// The sequence of its last event after this command. Other commands may have appended to it since.
    pub version: u64,
    /// The number of events that the command recorded; 0 if it changed nothing.
    pub events: usize,
    /// Whether the command was executed before, under the same idempotency key.
    pub repeated: bool,
}

/// Loads the stream `id`, runs `decide` on its state and appends the decided events; tries again after a conflict.
pub(crate) async fn execute_command<A, S>(
    store: &S,
    caller: &Caller,
    id: &str,
    preconditions: &CommandPreconditions,
    decide: impl Fn(&A) -> Result<Vec<A::Event>, A::Error>,
) -> Result<CommandOutcome, CommandError<A::Error>>
where
    A: Aggregate<Error: 'static>,
    S: EventStore<A, AC = EventStoreAggregateContext<A>> + IdempotencyStore + CommandBatchStore<A>,
{
    let mut attempts_left = MAX_ATTEMPTS;
    let mut is_new = preconditions.is_new_aggregate;
    loop {
        attempts_left -= 1;
        let context = if is_new { new_context(id) } else { load_context::<A, S>(store, id).await? };
        match attempt_command(store, caller, context, preconditions, &decide).await {
            Err(CommandError::Conflict) if attempts_left > 0 => is_new = false,
            outcome => return outcome,
        }
    }
}

async fn load_context<A, S>(store: &S, id: &str) -> Result<EventStoreAggregateContext<A>, CommandError<A::Error>>
where
    A: Aggregate<Error: 'static>,
    S: EventStore<A, AC = EventStoreAggregateContext<A>>,
{
    Ok(store.load_aggregate(id).instrument(log_span("load stream")).await?)
}

/// The span of a request to the event log.
fn log_span(operation: &'static str) -> Span {
    telemetry::store_span("postgresql", operation)
}

/// The context of an aggregate without events.
fn new_context<A: Aggregate>(id: &str) -> EventStoreAggregateContext<A> {
    EventStoreAggregateContext {
        aggregate_id: id.to_owned(),
        aggregate: A::default(),
        current_sequence: 0,
        current_snapshot: None,
    }
}

/// The outcome of a command whose key is on record.
pub(crate) fn repeated_outcome<A: Aggregate<Error: 'static>>(
    key: &IdempotencyKey,
    id: &str,
    processed: ProcessedCommand,
) -> Result<CommandOutcome, CommandError<A::Error>> {
    if processed.digest != key.request_digest() || processed.aggregate_type != A::TYPE || processed.aggregate_id != id {
        return Err(CommandError::KeyReused);
    }
    Ok(CommandOutcome {
        aggregate_id: processed.aggregate_id,
        version: processed.version,
        events: processed.events,
        repeated: true,
    })
}

async fn attempt_command<A, S>(
    store: &S,
    caller: &Caller,
    context: EventStoreAggregateContext<A>,
    preconditions: &CommandPreconditions,
    decide: impl Fn(&A) -> Result<Vec<A::Event>, A::Error>,
) -> Result<CommandOutcome, CommandError<A::Error>>
where
    A: Aggregate<Error: 'static>,
    S: IdempotencyStore + CommandBatchStore<A>,
{
    let id = &context.aggregate_id;
    // Checked after loading: an earlier execution of the same command that is part of the loaded events is found here;
    // one that is appended later makes the append fail with a conflict.
    if let Some(key) = &preconditions.idempotency_key {
        let keys = [key.key()];
        let found = store.find_processed(caller.tenant_id.as_str(), &keys);
        if let Some(processed) = found.instrument(log_span("find processed command")).await?.remove(key.key()) {
            return repeated_outcome::<A>(key, id, processed);
        }
    }
    let current = u64::try_from(context.current_sequence).unwrap_or(u64::MAX);
    if !preconditions.are_met_at(current) {
        return Err(CommandError::Outdated { current });
    }
    let events = decide(&context.aggregate).map_err(CommandError::Refused)?;
    let outcome = executed_outcome(id, current, events.len());
    if !events.is_empty() {
        let event_types: Vec<_> = events.iter().map(DomainEvent::event_type).collect();
        let decided = DecidedCommand { events, metadata: command_metadata(caller, preconditions) };
        store
            .append_commands(id, context.current_sequence, vec![decided])
            .instrument(log_span("append events"))
            .await?;
        let recorded = event_types.iter().map(|event_type| (id.as_str(), event_type.as_str()));
        count_events(A::TYPE, EventSource::Command, recorded);
    }
    Ok(outcome)
}

/// The outcome of a command that was decided on the version `current` and led to this number of events.
pub(crate) fn executed_outcome(id: &str, current: u64, events: usize) -> CommandOutcome {
    CommandOutcome {
        aggregate_id: id.to_owned(),
        version: current.saturating_add(u64::try_from(events).unwrap_or(u64::MAX)),
        events,
        repeated: false,
    }
}

pub(crate) fn command_metadata(caller: &Caller, preconditions: &CommandPreconditions) -> EventMetadata {
    let (idempotency_key, command_digest) = preconditions
        .idempotency_key
        .as_ref()
        .map(|key| (key.key().to_owned(), key.request_digest().to_owned()))
        .unwrap_or_default();
    EventMetadata { idempotency_key, command_digest, ..caller.metadata() }
}
