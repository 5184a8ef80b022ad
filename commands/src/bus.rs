//! The way of every command to a tenant's aggregate: may they, what does the aggregate say, on record.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::EventStore;
use domain::{
    aggregate::Decide,
    clock::Clock,
    fingerprint::Fingerprint,
    store::AggregateStores,
    value::{Stamp, TenantId},
};

use crate::{
    authority::{Authority, Guarded},
    caller::Caller,
    condition::Conditions,
    error::CommandError,
    execute::execute,
};

pub use crate::execute::Executed;

/// Carries commands to aggregates of every kind.
pub struct Bus<S> {
    stores: S,
    clock: Arc<dyn Clock>,
}

/// Who gives a command, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Who it is, and for which tenant.
    pub caller: Caller,
    /// What they may.
    pub authority: Authority,
}

impl<S: AggregateStores> Bus<S> {
    /// Works on the log behind `stores`.
    pub fn new(stores: S, clock: Arc<dyn Clock>) -> Self {
        Self { stores, clock }
    }

    /// Who gives a command, and that it is now, as the command has to say.
    pub fn stamp(&self, sender: &Sender) -> Stamp {
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
    pub async fn on_record<A>(&self, tenant: &TenantId, id: &str) -> Result<OnRecord<A>, CommandError<A::Error>>
    where
        A: Decide<Error: 'static> + Fingerprint,
    {
        let context = self.stores.of::<A>().load_aggregate(&stream::<A>(tenant, id)).await?;
        let version = u64::try_from(context.current_sequence).unwrap_or(u64::MAX);
        Ok(OnRecord { state: context.aggregate, version })
    }

    /// Gives a command about what the sender's tenant owns under `id`. There is no way to name what another tenant owns:
    /// its ids are unknown here.
    ///
    /// # Errors
    /// [`CommandError::Forbidden`] when the sender may not, before anything is looked at; [`CommandError::Rejected`] when
    /// the aggregate's state forbids it; [`CommandError::Outdated`] and [`CommandError::KeyReused`] when `conditions` do
    /// not hold.
    pub async fn give<A>(
        &self,
        sender: &Sender,
        id: &str,
        conditions: &Conditions,
        command: A::Command,
    ) -> Result<Executed, CommandError<A::Error>>
    where
        A: Decide<Command: Guarded + Clone, Error: 'static> + Fingerprint,
    {
        let need = command.needs();
        if !sender.authority.suffices(need) {
            return Err(CommandError::Forbidden { need });
        }
        let stream = stream::<A>(&sender.caller.tenant_id, id);
        let decide = |aggregate: &A| aggregate.decide(command.clone());
        execute(&self.stores.of::<A>(), &sender.caller, &stream, conditions, decide).await
    }
}

/// What a tenant owns as it stands on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnRecord<A> {
    /// Its state.
    pub state: A,
    /// The sequence of its last event; 0 for what is not there.
    pub version: u64,
}

/// The stream of what a tenant owns; a company is its tenant.
fn stream<A: Decide>(tenant: &TenantId, id: &str) -> String {
    if A::TYPE == COMPANY { tenant.to_string() } else { tenant.stream(id) }
}

const COMPANY: &str = <domain::company::Company as cqrs_es::Aggregate>::TYPE;
