//! Removes generations that nobody reads any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{ProjectionRebuild, RebuildError, progress::PartRow, rebuild_lease::RebuildLease};
use crate::runtime::{
    AnyProjection, ControlError, ControlStore, Generation, GenerationMap, GenerationState, ProjectionRuntime,
    control_store::postgres_error,
};

/// How long workers may take to let go of a generation.
const WORKER_STOP_TIMEOUT: Duration = Duration::from_secs(45);
const WORKER_POLL_INTERVAL: Duration = Duration::from_millis(100);

impl ProjectionRuntime {
    /// Drops a generation that readers do not see.
    ///
    /// # Errors
    /// [`RebuildError::IsActive`] for the one they see, [`RebuildError::Unfinished`] for one that a rebuild makes, and
    /// others when it could not be done.
    pub async fn drop_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let turn = RebuildLease::acquire(&self.control).await?;
        let outcome = self.drop_with_lease(projection, generation, &turn).await;
        turn.release().await;
        outcome
    }

    async fn drop_with_lease(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
        turn: &RebuildLease,
    ) -> Result<(), RebuildError> {
        self.control.load_generation(projection.name(), generation).await?;
        if let Some((id, rows)) = self.unfinished_rebuild().await?
            && rows.iter().any(|row| row.builds_generation(projection.name(), generation))
        {
            let names: Vec<_> = rows.into_iter().map(PartRow::into_name).collect();
            return Err(RebuildError::Unfinished { id, projections: names.join(" ") });
        }
        self.retire_generation(projection, generation, turn).await
    }

    /// Stops its workers, removes it from its store, and forgets it. Safe to repeat.
    pub(super) async fn retire_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
        turn: &RebuildLease,
    ) -> Result<(), RebuildError> {
        let name = projection.name();
        let live = self.detach_generation(name, generation, turn).await?;
        self.wait_for_workers(name, generation).await?;
        if let Some(live) = live {
            // Readers outside this program may not have been told of the last switch.
            self.publish_generation(projection, live).await?;
        }
        // Nobody who is late writes to it from here on: re-drives and fillings wait for the lock, and it is gone then.
        let doing = || postgres_error("removing a generation");
        let alone = self.control.begin_exclusive(name, generation).await?;
        let discarded = projection.with_generation(generation).discard().await;
        discarded.map_err(|source| RebuildError::Store { projection: name, generation, source })?;
        alone.rollback().await.map_err(doing())?;
        let mut transaction = turn.begin_transaction().await?;
        ControlStore::delete_generation(&mut transaction, name, generation).await?;
        transaction.commit().await.map_err(doing())?;
        tracing::info!(projection.name = name, generation = %generation, "generation dropped");
        Ok(())
    }

    /// From here on nobody can be pointed at the build, and nobody follows it. Answers with the generation that readers
    /// see. One that is forgotten already may have left something in its store.
    async fn detach_generation(
        &self,
        name: &'static str,
        generation: Generation,
        turn: &RebuildLease,
    ) -> Result<Option<Generation>, RebuildError> {
        let mut transaction = turn.begin_transaction().await?;
        let pointer = ControlStore::lock_pointer(&mut transaction).await?;
        let live = pointer.generations.get(name).copied();
        if live == Some(generation) {
            return Err(RebuildError::IsActive { projection: name.to_owned(), generation });
        }
        let any = [GenerationState::Building, GenerationState::Following, GenerationState::Failed];
        match ControlStore::move_generation(&mut transaction, name, generation, &any, GenerationState::Failed).await {
            Ok(()) | Err(ControlError::NoGeneration { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await.map_err(postgres_error("giving a generation up"))?;
        Ok(live)
    }

    async fn wait_for_workers(&self, name: &'static str, generation: Generation) -> Result<(), RebuildError> {
        let deadline = Instant::now() + WORKER_STOP_TIMEOUT;
        loop {
            let workers = self.control.load_workers().await?;
            let mut writing = workers.into_iter();
            let found = writing.find(|worker| worker.projection == name && worker.generation == generation.number());
            let Some(worker) = found else { return Ok(()) };
            if Instant::now() > deadline {
                let projection = name.to_owned();
                return Err(RebuildError::StillFollowed { projection, generation, host: worker.host });
            }
            sleep(WORKER_POLL_INTERVAL).await;
        }
    }

    /// Drops what readers neither see nor saw before the last switch, so that two of each remain.
    pub(super) async fn retire_old_generations(
        &self,
        parts: &[ProjectionRebuild],
        turn: &RebuildLease,
    ) -> Result<Vec<(String, Generation)>, RebuildError> {
        let mut dropped = vec![];
        let pointer = self.control.load_pointer().await?;
        for build in self.control.load_generations().await? {
            let Some(part) = parts.iter().find(|part| part.name() == build.projection) else { continue };
            let is = |generations: &GenerationMap| generations.get(&build.projection) == Some(&build.generation);
            if !is(&pointer.generations) && !is(&pointer.previous) {
                self.retire_generation(&part.projection, build.generation, turn).await?;
                dropped.push((build.projection, build.generation));
            }
        }
        Ok(dropped)
    }
}
