//! Inputs of instances that are no events of the log: their caller records them, in the same transaction.

use std::{collections::BTreeMap, marker::PhantomData};

use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{
    DecisionBatch, InputCause, InstanceKey, InstanceStore, InstanceStoreError, LockWait,
    event_handling::insert_instances, lock_instances, postgres_error,
};
use crate::{
    Process,
    any_process::{decide_all, decode_state},
};

/// A transaction in which instances of the process `P` react to inputs, each once; the caller records the inputs by its
/// own statements. Dropped without [`Self::commit`], it changes nothing.
pub struct InputSession<P> {
    store: InstanceStore,
    transaction: Transaction<'static, Postgres>,
    batch: DecisionBatch,
    process: PhantomData<fn() -> P>,
}

impl InstanceStore {
    /// Begins a transaction about these instances, and locks them. Those that do not exist are created, with the
    /// correlation ids given; they are removed again if they get no input.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer, or another transaction holds a lock for long.
    pub async fn begin_inputs<P: Process>(
        &self,
        instances: &BTreeMap<InstanceKey, Uuid>,
    ) -> Result<InputSession<P>, InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let starting = instances.iter().map(|(key, correlation_id)| (key, *correlation_id)).collect();
        insert_instances(&mut transaction, P::NAME, &starting).await?;
        let locked = lock_instances(&mut transaction, P::NAME, instances.keys(), LockWait::Wait).await?;
        let batch = DecisionBatch::new(P::NAME, locked);
        Ok(InputSession { store: self.clone(), transaction, batch, process: PhantomData })
    }
}

impl<P: Process> InputSession<P> {
    /// The connection, for the caller's own statements in the transaction.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The state of an instance; `None` if it is closed or was not locked by this session.
    ///
    /// # Errors
    /// [`InstanceStoreError::UnreadableState`] for a state of another release.
    pub fn state(&self, key: &InstanceKey) -> Result<Option<P>, InstanceStoreError> {
        let Some(instance) = self.batch.instance(key).filter(|instance| instance.status.is_open()) else {
            return Ok(None);
        };
        decode_state(&instance.state).map(Some).map_err(|source| key.unreadable_state(P::NAME, source))
    }

    /// Lets an instance react to inputs in their order; returns how many commands each of them decided. A closed instance
    /// ignores them, and those behind the one that finishes it.
    ///
    /// # Errors
    /// [`InstanceStoreError::UnreadableState`] for a state of another release.
    pub fn react_all(
        &mut self,
        key: &InstanceKey,
        inputs: &[(P::Event, InputCause)],
    ) -> Result<Vec<usize>, InstanceStoreError> {
        let mut counts = vec![0; inputs.len()];
        let Some(instance) = self.batch.instance(key).filter(|instance| instance.status.is_open()) else {
            return Ok(counts);
        };
        let decisions = decide_all::<P>(&instance.state, inputs.iter().map(|(input, _)| input))
            .map_err(|source| key.unreadable_state(P::NAME, source))?;
        for ((decision, (_, cause)), count) in decisions.into_iter().zip(inputs).zip(&mut counts) {
            *count = decision.commands.len();
            self.batch.add_decision(key, decision, *cause)?;
        }
        Ok(counts)
    }

    /// Ends the transaction without a change, and unlocks the instances at once.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer; nothing is changed then either.
    pub async fn roll_back(self) -> Result<(), InstanceStoreError> {
        self.transaction.rollback().await.map_err(postgres_error("rolling back a transaction"))
    }

    /// Writes the decisions and commits the transaction, with the caller's statements.
    ///
    /// # Errors
    /// [`InstanceStoreError`] when Postgres does not answer; then nothing is changed.
    pub async fn commit(mut self) -> Result<(), InstanceStoreError> {
        let without_input = self.batch.instances_without_input();
        let (tenants, ids): (Vec<_>, Vec<_>) =
            without_input.map(|key| (key.tenant_id.as_str(), key.instance_id.as_str())).unzip();
        if !ids.is_empty() {
            sqlx::query(include_str!("remove_without_input.sql"))
                .bind(P::NAME)
                .bind(tenants)
                .bind(ids)
                .execute(&mut *self.transaction)
                .await
                .map_err(postgres_error("removing instances without an input"))?;
        }
        self.batch.write(&mut self.transaction).await?;
        self.store.commit(self.transaction).await
    }
}
