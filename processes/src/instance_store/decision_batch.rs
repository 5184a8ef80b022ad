//! Collects the decisions of one transaction, and writes them with few statements.

use std::collections::{BTreeMap, BTreeSet};

use domain::value::TenantId;
use serde_json::Value;
use sqlx::{Postgres, Transaction};

use super::{
    InputCause, InstanceKey, InstanceStatus, InstanceStoreError, LockedInstance, postgres_error,
    timer::{TimerToSet, cancel_timers, set_timers},
};
use crate::{TimerChange, any_process::StoredReaction};

/// After how many seconds a timer that could not be handled fires again.
const POSTPONED_S: f64 = 60.0;

/// A timer to set; `None` cancels it.
type TimerWrite = Option<TimerToSet>;

/// The decisions of one transaction about instances of one process.
pub(crate) struct DecisionBatch {
    process: &'static str,
    instances: BTreeMap<InstanceKey, LockedInstance>,
    changed: BTreeSet<InstanceKey>,
    timers: BTreeMap<(InstanceKey, String), TimerWrite>,
    commands: Vec<CommandToAdd>,
    followed: Vec<(&'static str, String, InstanceKey)>,
}

struct CommandToAdd {
    key: InstanceKey,
    idempotency_key: String,
    command: Value,
    cause: InputCause,
}

impl DecisionBatch {
    /// A batch about these instances, whose rows are locked.
    pub(crate) fn new(process: &'static str, instances: BTreeMap<InstanceKey, LockedInstance>) -> Self {
        Self {
            process,
            instances,
            changed: BTreeSet::new(),
            timers: BTreeMap::new(),
            commands: vec![],
            followed: vec![],
        }
    }

    pub(super) fn instance(&self, key: &InstanceKey) -> Option<&LockedInstance> {
        self.instances.get(key)
    }

    /// The new instances that no decision is about.
    pub(super) fn instances_without_input(&self) -> impl Iterator<Item = &InstanceKey> {
        let is_new =
            |key: &InstanceKey, instance: &LockedInstance| instance.state.is_null() && !self.changed.contains(key);
        self.instances.iter().filter(move |(key, instance)| is_new(key, instance)).map(|(key, _)| key)
    }

    /// Notes that an event of the stream was handled; false if it was handled before.
    pub(super) fn mark_handled(&mut self, key: &InstanceKey, stream: &str, sequence: u64) -> bool {
        let Some(instance) = self.instances.get_mut(key) else { return false };
        let handled = instance.handled.entry(stream.to_owned()).or_default();
        if *handled >= sequence {
            return false;
        }
        *handled = sequence;
        self.changed.insert(key.clone());
        true
    }

    /// Whether a decision of this batch has changed the timer.
    pub(super) fn has_changed_timer(&self, key: &InstanceKey, name: &str) -> bool {
        self.timers.contains_key(&(key.clone(), name.to_owned()))
    }

    /// Sets a timer again that could not be handled, with the cause that it has.
    pub(super) fn postpone_timer(&mut self, key: &InstanceKey, name: &str, version: i64, cause: InputCause) {
        let timer = TimerToSet { after_s: POSTPONED_S, version, cause };
        self.timers.insert((key.clone(), name.to_owned()), Some(timer));
    }

    /// Cancels the instance, with an operator's reason.
    pub(super) fn mark_cancelled(&mut self, key: &InstanceKey, reason: &str) {
        if let Some(instance) = self.instances.get_mut(key) {
            instance.status = InstanceStatus::Cancelled;
            instance.waits_for = String::new();
            reason.clone_into(&mut instance.note);
            self.changed.insert(key.clone());
        }
    }

    /// Adds a decision of an open instance.
    pub(super) fn add_decision(
        &mut self,
        key: &InstanceKey,
        decision: StoredReaction,
        cause: InputCause,
    ) -> Result<(), InstanceStoreError> {
        let Some(instance) = self.instances.get_mut(key) else { return Ok(()) };
        instance.version += 1;
        if let Some(state) = decision.state {
            instance.state = state;
        }
        decision.waits_for.unwrap_or_default().clone_into(&mut instance.waits_for);
        if decision.waits_for.is_none() {
            instance.status = InstanceStatus::Finished;
        }
        self.changed.insert(key.clone());
        for change in decision.timers {
            let (name, write) = match change {
                TimerChange::Set { name, after } => {
                    let timer = TimerToSet { after_s: after.as_secs_f64(), version: instance.version, cause };
                    (name, Some(timer))
                }
                TimerChange::Cancel { name } => (name, None),
            };
            self.timers.insert((key.clone(), name.to_owned()), write);
        }
        // An instance belongs to the tenant of the event that started it, whose id was checked when it was recorded.
        let tenant = TenantId::try_new(&key.tenant_id).ok();
        for (index, command) in decision.commands.into_iter().enumerate() {
            if let Some((aggregate_type, stream)) = tenant.as_ref().and_then(|tenant| command.followed_stream(tenant)) {
                self.followed.push((aggregate_type, stream, key.clone()));
            }
            self.commands.push(CommandToAdd {
                key: key.clone(),
                idempotency_key: format!("{}.{}.{index}", self.process, cause.id),
                command: serde_json::to_value(&command).map_err(|source| InstanceStoreError::UnreadableCommand {
                    process: self.process.to_owned(),
                    source,
                })?,
                cause,
            });
        }
        Ok(())
    }

    /// Writes everything in the caller's transaction.
    pub(super) async fn write(
        self,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<(), InstanceStoreError> {
        self.write_instances(transaction).await?;
        self.write_timers(transaction).await?;
        self.write_followed_streams(transaction).await?;
        self.forget_closed_streams(transaction).await?;
        self.write_commands(transaction).await
    }

    async fn write_instances(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<(), InstanceStoreError> {
        let changed: Vec<_> = self.instances.iter().filter(|(key, _)| self.changed.contains(key)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let handled: Vec<Value> = changed
            .iter()
            .map(|(_, instance)| {
                let entries =
                    instance.handled.iter().map(|(stream, sequence)| (stream.clone(), Value::from(*sequence)));
                Value::Object(entries.collect())
            })
            .collect();
        sqlx::query(include_str!("save.sql"))
            .bind(self.process)
            .bind(changed.iter().map(|(key, _)| key.tenant_id.as_str()).collect::<Vec<_>>())
            .bind(changed.iter().map(|(key, _)| key.instance_id.as_str()).collect::<Vec<_>>())
            .bind(changed.iter().map(|(_, instance)| instance.status.name()).collect::<Vec<_>>())
            .bind(changed.iter().map(|(_, instance)| instance.state.clone()).collect::<Vec<_>>())
            .bind(changed.iter().map(|(_, instance)| instance.waits_for.as_str()).collect::<Vec<_>>())
            .bind(handled)
            .bind(changed.iter().map(|(_, instance)| instance.version).collect::<Vec<_>>())
            .bind(changed.iter().map(|(_, instance)| instance.note.as_str()).collect::<Vec<_>>())
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(postgres_error("saving instances of a process"))
    }

    async fn write_timers(&self, transaction: &mut Transaction<'static, Postgres>) -> Result<(), InstanceStoreError> {
        let is_open = |key: &InstanceKey| self.instances.get(key).is_some_and(|instance| instance.status.is_open());
        let closed = self.changed.iter().filter(|key| !is_open(key)).map(|key| (key, None));
        let cancelled = self.timers.iter().filter(|(_, write)| write.is_none());
        let cancelled = cancelled.map(|((key, name), _)| (key, Some(name.as_str())));
        let cancelled: Vec<(&InstanceKey, Option<&str>)> = closed.chain(cancelled).collect();
        cancel_timers(transaction, self.process, &cancelled).await?;
        let set: Vec<_> = self
            .timers
            .iter()
            .filter(|((key, _), _)| is_open(key))
            .filter_map(|((key, name), write)| write.map(|timer| (key, name.as_str(), timer)))
            .collect();
        set_timers(transaction, self.process, &set).await
    }

    async fn write_followed_streams(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<(), InstanceStoreError> {
        if self.followed.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("follow_streams.sql"))
            .bind(self.process)
            .bind(self.followed.iter().map(|(aggregate_type, _, _)| *aggregate_type).collect::<Vec<_>>())
            .bind(self.followed.iter().map(|(_, stream, _)| stream.as_str()).collect::<Vec<_>>())
            .bind(self.followed.iter().map(|(_, _, key)| key.tenant_id.as_str()).collect::<Vec<_>>())
            .bind(self.followed.iter().map(|(_, _, key)| key.instance_id.as_str()).collect::<Vec<_>>())
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(postgres_error("recording the streams that a process follows"))
    }

    /// Forgets the streams that closed instances followed: no instance expects their events.
    async fn forget_closed_streams(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<(), InstanceStoreError> {
        let is_closed = |key: &&InstanceKey| self.instances.get(key).is_some_and(|instance| !instance.status.is_open());
        let (tenants, ids): (Vec<_>, Vec<_>) =
            self.changed.iter().filter(is_closed).map(|key| (key.tenant_id.as_str(), key.instance_id.as_str())).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("forget_streams.sql"))
            .bind(self.process)
            .bind(tenants)
            .bind(ids)
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(postgres_error("removing the streams that closed instances followed"))
    }

    async fn write_commands(self, transaction: &mut Transaction<'static, Postgres>) -> Result<(), InstanceStoreError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let commands = &self.commands;
        sqlx::query(include_str!("add_commands.sql"))
            .bind(self.process)
            .bind(commands.iter().map(|command| command.key.tenant_id.as_str()).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.key.instance_id.as_str()).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.idempotency_key.as_str()).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.command.clone()).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.cause.correlation_id).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.cause.causation_id).collect::<Vec<_>>())
            .bind(commands.iter().map(|command| command.cause.traceparent()).collect::<Vec<_>>())
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(postgres_error("adding commands of a process"))
    }
}
