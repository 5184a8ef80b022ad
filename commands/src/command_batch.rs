//! Commands for one stream that wait at the same time: loaded, looked up and appended together.
//!
//! ```text
//! load stream, look up keys ──▶ decide each command on the events of those before ──▶ append all ──┐
//!          ▲                                                                                        │
//!          └─────────────────────────────────────── conflict ◀──────────────────────────────────────┘
//! ```

use std::collections::HashMap;

use cqrs_es::{DomainEvent, EventStore as _};
use domain::{
    aggregate::PureAggregate,
    event_store::{AggregateStores, CommandBatchStore as _, DecidedCommand, IdempotencyStore as _, ProcessedCommand},
    fingerprint::Fingerprint,
    value::TenantId,
};

use tracing::Instrument;

use crate::{
    authorization::AuthorizedCommand,
    caller::Caller,
    command_execution::{MAX_ATTEMPTS, command_metadata, executed_outcome, repeated_outcome},
    command_metrics::{CommandMeasurement, EventSource, count_events},
    dispatcher::{CommandDispatcher, CommandOutcome, CommandSender, command_span, stream_id},
    error::CommandError,
    precondition::CommandPreconditions,
};

/// A command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchedCommand<C> {
    /// Its sender.
    pub sender: CommandSender,
    /// Its preconditions.
    pub conditions: CommandPreconditions,
    /// The command.
    pub command: C,
}

/// The outcome of each command of a batch, in their order.
pub type BatchOutcomes<E> = Vec<Result<CommandOutcome, CommandError<E>>>;

impl<S: AggregateStores> CommandDispatcher<S> {
    /// Executes commands on the aggregate `id` of a tenant in their order, and appends their events at once. Each has the
    /// outcome that it would have by itself: one that is refused does not hinder the others.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] and [`CommandError::Store`]; then none was executed. The refusals of single commands
    /// are among the outcomes: [`CommandError::Forbidden`], also for a sender of another tenant, and the refusals of
    /// [`Self::dispatch`] about preconditions and state.
    pub async fn dispatch_batch<A>(
        &self,
        tenant: &TenantId,
        id: &str,
        commands: &[BatchedCommand<A::Command>],
    ) -> Result<BatchOutcomes<A::Error>, CommandError<A::Error>>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let stream = stream_id::<A>(tenant, id);
        let mut measurement = CommandMeasurement::start(A::TYPE, commands.len());
        let executed = self.execute_batch::<A>(tenant, &stream, commands).instrument(command_span(A::TYPE)).await;
        match &executed {
            Ok(outcomes) => {
                for outcome in outcomes {
                    measurement.record(outcome.as_ref());
                }
            }
            Err(error) => {
                for _ in commands {
                    measurement.record(Err(error));
                }
            }
        }
        executed
    }

    async fn execute_batch<A>(
        &self,
        tenant: &TenantId,
        stream: &str,
        commands: &[BatchedCommand<A::Command>],
    ) -> Result<BatchOutcomes<A::Error>, CommandError<A::Error>>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let mut attempts_left = MAX_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.attempt_batch::<A>(tenant, stream, commands).await {
                Err(CommandError::Conflict) if attempts_left > 0 => {}
                outcome => return outcome,
            }
        }
    }

    async fn attempt_batch<A>(
        &self,
        tenant: &TenantId,
        stream: &str,
        commands: &[BatchedCommand<A::Command>],
    ) -> Result<BatchOutcomes<A::Error>, CommandError<A::Error>>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let store = self.store_for::<A>();
        let context = store.load_aggregate(stream).await?;
        let keys: Vec<_> =
            commands.iter().filter_map(|batched| Some(batched.conditions.idempotency_key.as_ref()?.key())).collect();
        // After loading, as for a single command.
        let processed = store.find_processed(tenant.as_str(), &keys).await?;
        let sequence = context.current_sequence;
        let mut batch = DecidedBatch {
            stream,
            aggregate: context.aggregate,
            version: as_version(sequence),
            processed,
            decided: vec![],
        };
        let outcomes = commands.iter().map(|command| batch.decide(tenant, command)).collect();
        if !batch.decided.is_empty() {
            let events = batch.decided.iter().flat_map(|decided| &decided.events);
            let event_types: Vec<_> = events.map(DomainEvent::event_type).collect();
            store.append_commands(stream, sequence, batch.decided).await?;
            let recorded = event_types.iter().map(|event_type| (stream, event_type.as_str()));
            count_events(A::TYPE, EventSource::Command, recorded);
        }
        Ok(outcomes)
    }
}

/// The commands that were decided so far.
struct DecidedBatch<'a, A: PureAggregate> {
    stream: &'a str,
    /// The state after the decided events.
    aggregate: A,
    version: u64,
    /// The commands whose keys are used, by key.
    processed: HashMap<String, ProcessedCommand>,
    decided: Vec<DecidedCommand<A::Event>>,
}

impl<A> DecidedBatch<'_, A>
where
    A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static>,
{
    fn decide(
        &mut self,
        tenant: &TenantId,
        BatchedCommand { sender, conditions, command }: &BatchedCommand<A::Command>,
    ) -> Result<CommandOutcome, CommandError<A::Error>> {
        let required = command.required_authority();
        if !sender.authority.permits(required) || sender.caller.tenant_id != *tenant {
            return Err(CommandError::Forbidden { required });
        }
        if let Some(key) = &conditions.idempotency_key
            && let Some(processed) = self.processed.get(key.key())
        {
            return repeated_outcome::<A>(key, self.stream, processed.clone());
        }
        if !conditions.are_met_at(self.version) {
            return Err(CommandError::Outdated { current: self.version });
        }
        let events = self.aggregate.decide(command.clone()).map_err(CommandError::Refused)?;
        let outcome = executed_outcome(self.stream, self.version, events.len());
        if !events.is_empty() {
            self.add_events(&sender.caller, conditions, events, &outcome);
        }
        Ok(outcome)
    }

    fn add_events(
        &mut self,
        caller: &Caller,
        conditions: &CommandPreconditions,
        events: Vec<A::Event>,
        outcome: &CommandOutcome,
    ) {
        for event in &events {
            self.aggregate.apply(event.clone());
        }
        self.version = outcome.version;
        if let Some(key) = &conditions.idempotency_key {
            let processed = ProcessedCommand {
                aggregate_id: self.stream.to_owned(),
                aggregate_type: A::TYPE.to_owned(),
                version: outcome.version,
                events: outcome.events,
                digest: key.request_digest().to_owned(),
            };
            self.processed.insert(key.key().to_owned(), processed);
        }
        self.decided.push(DecidedCommand { events, metadata: command_metadata(caller, conditions) });
    }
}

fn as_version(sequence: usize) -> u64 {
    u64::try_from(sequence).unwrap_or(u64::MAX)
}
