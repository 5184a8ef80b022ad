//! The way of every command to a tenant's aggregate: may they, what does the aggregate say, on record.

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

use crate::{
    authorization::{AuthorizedCommand, CallerAuthority},
    caller::Caller,
    command_execution::execute_command,
    error::CommandError,
    precondition::CommandPreconditions,
};

pub use crate::command_execution::CommandOutcome;

/// Carries commands to aggregates of every kind.
pub struct CommandDispatcher<S> {
    stores: S,
    clock: Arc<dyn Clock>,
}

/// Who gives a command, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSender {
    /// Who it is, and for which tenant.
    pub caller: Caller,
    /// What they may.
    pub authority: CallerAuthority,
}

impl<S: AggregateStores> CommandDispatcher<S> {
    /// Works on the log behind `stores`.
    pub fn new(stores: S, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// Who gives a command, and that it is now, as the command has to say.
    pub fn stamp(&self, sender: &CommandSender) -> AuditStamp {
        sender.caller.stamp(self.now())
    }

    /// The time of commands.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What a tenant owns under `id`, as the next command about it will find it.
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

    /// Gives a command about what the sender's tenant owns under `id`. There is no way to name what another tenant owns:
    /// its ids are unknown here.
    ///
    /// # Errors
    /// [`CommandError::Forbidden`] when the sender may not, before anything is looked at; [`CommandError::Refused`] when
    /// the aggregate's state forbids it; [`CommandError::Outdated`] and [`CommandError::KeyReused`] when `conditions` do
    /// not hold.
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
        let need = command.required_authority();
        if !sender.authority.permits(need) {
            return Err(CommandError::Forbidden { required: need });
        }
        let stream = stream_id::<A>(&sender.caller.tenant_id, id);
        let decide = |aggregate: &A| aggregate.decide(command.clone());
        execute_command(&self.stores.store_for::<A>(), &sender.caller, &stream, conditions, decide).await
    }
}

/// What a tenant owns as it stands on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedAggregate<A> {
    /// Its state.
    pub state: A,
    /// The sequence of its last event; 0 for what is not there.
    pub version: u64,
}

/// The stream of what a tenant owns; a company is its tenant.
fn stream_id<A: PureAggregate>(tenant: &TenantId, id: &str) -> String {
    if A::TYPE == COMPANY_TYPE { tenant.to_string() } else { tenant.stream_id(id) }
}

const COMPANY_TYPE: &str = <domain::company::Company as cqrs_es::Aggregate>::TYPE;
