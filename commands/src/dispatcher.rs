//! Takes every command to its tenant's aggregate: authorizes it, lets the aggregate decide, and appends the events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::EventStore;
use domain::{
    aggregate::PureAggregate,
    clock::Clock,
    event_store::AggregateStores,
    fingerprint::Fingerprint,
    value::{AuditStamp, TenantId},
};

use tracing::{Instrument, Span};

use crate::{
    authorization::{AuthorizedCommand, CallerAuthority},
    caller::Caller,
    command_execution::execute_command,
    command_metrics::CommandMeasurement,
    error::CommandError,
    precondition::CommandPreconditions,
};

pub use crate::command_execution::CommandOutcome;

/// Dispatches commands to aggregates of every type.
pub struct CommandDispatcher<S> {
    stores: S,
    clock: Arc<dyn Clock>,
}

/// The sender of a command with their authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSender {
    /// The caller, and the tenant that they act for.
    pub caller: Caller,
    /// What they may do.
    pub authority: CallerAuthority,
}

impl<S: AggregateStores> CommandDispatcher<S> {
    /// Works on the log behind `stores`.
    pub fn new(stores: S, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// The audit stamp of a command that the sender issues now.
    pub fn stamp(&self, sender: &CommandSender) -> AuditStamp {
        sender.caller.stamp(self.now())
    }

    pub(crate) fn store_for<A: PureAggregate + Fingerprint>(&self) -> S::Store<A> {
        self.stores.store_for::<A>()
    }

    /// The current time, by the clock that stamps commands.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Loads the tenant's aggregate `id` in the state that its next command would see.
    ///
    /// # Errors
    /// [`CommandError::Store`] when the log cannot be read.
    pub async fn load_aggregate<A>(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<LoadedAggregate<A>, CommandError<A::Error>>
    where
        A: PureAggregate<Error: 'static> + Fingerprint,
    {
        let context = self.stores.store_for::<A>().load_aggregate(&stream_id::<A>(tenant, id)).await?;
        let version = u64::try_from(context.current_sequence).unwrap_or(u64::MAX);
        Ok(LoadedAggregate { state: context.aggregate, version })
    }

    /// Executes a command on the aggregate `id` of the sender's tenant. Aggregates of other tenants cannot be named:
    /// their ids are unknown in this tenant.
    ///
    /// # Errors
    /// [`CommandError::Forbidden`] when the sender lacks the authority, checked before anything is loaded;
    /// [`CommandError::Refused`] when the aggregate's state forbids the command; [`CommandError::Outdated`] and
    /// [`CommandError::KeyReused`] when `conditions` do not hold.
    pub async fn dispatch<A>(
        &self,
        sender: &CommandSender,
        id: &str,
        conditions: &CommandPreconditions,
        command: A::Command,
    ) -> Result<CommandOutcome, CommandError<A::Error>>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let mut measurement = CommandMeasurement::start(A::TYPE, 1);
        let required = command.required_authority();
        let outcome = if sender.authority.permits(required) {
            let stream = stream_id::<A>(&sender.caller.tenant_id, id);
            let decide = |aggregate: &A| aggregate.decide(command.clone());
            let span = command_span(A::TYPE);
            execute_command(&self.stores.store_for::<A>(), &sender.caller, &stream, conditions, decide)
                .instrument(span)
                .await
        } else {
            Err(CommandError::Forbidden { required })
        };
        measurement.record(outcome.as_ref());
        outcome
    }
}

/// The span of commands on an aggregate of that type. The events that they record belong to it.
pub(crate) fn command_span(aggregate_type: &'static str) -> Span {
    tracing::info_span!(
        target: telemetry::SPAN_TARGET,
        "command",
        otel.name = format_args!("command {aggregate_type}"),
        medhub.aggregate_type = aggregate_type,
    )
}

/// A tenant's aggregate as loaded from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedAggregate<A> {
    /// Its state.
    pub state: A,
    /// The sequence of its last event; 0 if it has none.
    pub version: u64,
}

/// The stream of an aggregate. Streams of public data have no tenant in their names, and a company's stream is the tenant
/// itself.
pub(crate) fn stream_id<A: PureAggregate>(tenant: &TenantId, id: &str) -> String {
    if A::TYPE == COMPANY_TYPE {
        tenant.to_string()
    } else if *tenant == TenantId::public() {
        id.to_owned()
    } else {
        tenant.stream_id(id)
    }
}

const COMPANY_TYPE: &str = <domain::company::Company as cqrs_es::Aggregate>::TYPE;
