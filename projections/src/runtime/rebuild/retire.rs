//! Removes generations that are no longer needed.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{RebuildError, RebuildPart, rebuild_lease::RebuildLease, rebuild_part::RebuildPartRow};
use crate::runtime::{
    AnyProjection, ControlError, ControlStore, GenerationMap, GenerationState, ProjectionRuntime, ReadModelGeneration,
    control_store::postgres_error,
};

/// How long workers may take to stop following a generation.
const WORKER_STOP_TIMEOUT: Duration = Duration::from_secs(45);
const WORKER_POLL_INTERVAL: Duration = Duration::from_millis(100);

impl ProjectionRuntime {
    /// Drops a generation that is not active.
    ///
    /// # Errors
    /// [`RebuildError::IsActive`] for the active one, [`RebuildError::Unfinished`] for one that a rebuild builds, and
    /// others when the generation could not be removed.
    pub async fn drop_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
    ) -> Result<(), RebuildError> {
        let lease = RebuildLease::acquire(&self.control).await?;
        let outcome = self.drop_with_lease(projection, generation, &lease).await;
        lease.release().await;
        outcome
    }

    async fn drop_with_lease(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
        lease: &RebuildLease,
    ) -> Result<(), RebuildError> {
        self.control.load_generation(projection.name(), generation).await?;
        if let Some((id, rows)) = self.unfinished_rebuild().await?
            && rows.iter().any(|row| row.builds_generation(projection.name(), generation))
        {
            let names: Vec<_> = rows.into_iter().map(RebuildPartRow::into_name).collect();
            return Err(RebuildError::Unfinished { id, projections: names.join(" ") });
        }
        self.retire_generation(projection, generation, lease).await
    }

    /// Stops the workers of a generation, removes its data from its store, and deletes its records in Postgres.
    /// Idempotent.
    pub(super) async fn retire_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
        lease: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let name = projection.name();
        let active = self.detach_generation(name, generation, lease).await?;
        self.wait_for_workers(name, generation).await?;
        if let Some(active) = active {
            // Direct readers of the store may not have been switched yet.
            self.publish_generation(projection, active).await?;
        }
        // Redrives and fills hold this lock in shared mode while they write, so that none writes while data is removed.
        let control_error = || postgres_error("removing a generation");
        let exclusive = self.control.begin_exclusive(name, generation).await?;
        let discarded = projection.with_generation(generation).discard().await;
        discarded.map_err(|source| RebuildError::Store { projection: name, generation, source })?;
        exclusive.rollback().await.map_err(control_error())?;
        let mut transaction = lease.begin_transaction().await?;
        ControlStore::delete_generation(&mut transaction, name, generation).await?;
        transaction.commit().await.map_err(control_error())?;
        tracing::info!(projection.name = name, generation = %generation, "generation dropped");
        Ok(())
    }

    /// Marks the generation as failed, so that it cannot become active and no worker follows it. Returns the active
    /// generation. A generation without a record is accepted, since it may have left data in its store.
    async fn detach_generation(
        &self,
        name: &'static str,
        generation: ReadModelGeneration,
        lease: &RebuildLease,
    ) -> Result<Option<ReadModelGeneration>, RebuildError> {
        let mut transaction = lease.begin_transaction().await?;
        let pointer = ControlStore::lock_pointer(&mut transaction).await?;
        let active = pointer.generations.get(name).copied();
        if active == Some(generation) {
            return Err(RebuildError::IsActive { projection: name.to_owned(), generation });
        }
        let any_state = [GenerationState::Building, GenerationState::Following, GenerationState::Failed];
        match ControlStore::move_generation(&mut transaction, name, generation, &any_state, GenerationState::Failed)
            .await
        {
            Ok(()) | Err(ControlError::NoGeneration { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await.map_err(postgres_error("detaching a generation"))?;
        Ok(active)
    }

    async fn wait_for_workers(&self, name: &'static str, generation: ReadModelGeneration) -> Result<(), RebuildError> {
        let deadline = Instant::now() + WORKER_STOP_TIMEOUT;
        loop {
            let workers = self.control.load_workers().await?;
            let mut workers = workers.into_iter();
            let found = workers.find(|worker| worker.projection == name && worker.generation == generation.number());
            let Some(worker) = found else { return Ok(()) };
            if Instant::now() > deadline {
                let projection = name.to_owned();
                return Err(RebuildError::StillFollowed { projection, generation, host: worker.host });
            }
            sleep(WORKER_POLL_INTERVAL).await;
        }
    }

    /// Drops the generations that are neither active nor were active before the last switch, so that two of each
    /// projection remain.
    pub(super) async fn retire_old_generations(
        &self,
        parts: &[RebuildPart],
        lease: &RebuildLease,
    ) -> Result<Vec<(String, ReadModelGeneration)>, RebuildError> {
        let mut dropped = vec![];
        let pointer = self.control.load_pointer().await?;
        for build in self.control.load_generations().await? {
            let Some(part) = parts.iter().find(|part| part.name() == build.projection) else { continue };
            let is_in = |generations: &GenerationMap| generations.get(&build.projection) == Some(&build.generation);
            if !is_in(&pointer.generations) && !is_in(&pointer.previous) {
                self.retire_generation(&part.projection, build.generation, lease).await?;
                dropped.push((build.projection, build.generation));
            }
        }
        Ok(dropped)
    }
}
