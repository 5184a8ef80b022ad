//! Removes generations that nobody reads any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Part, RebuildError, ledger::PartRow, turn::RebuildTurn};
use crate::runtime::{
    AnyProjection, BuildState, Control, ControlError, Generation, Generations, Runtime, control::postgres,
};

/// How long workers may take to let go of a generation.
const LET_GO: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Runtime {
    /// Drops a generation that readers do not see.
    ///
    /// # Errors
    /// [`RebuildError::IsLive`] for the one they see, [`RebuildError::Unfinished`] for one that a rebuild makes, and
    /// others when it could not be done.
    pub async fn drop_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let turn = RebuildTurn::take(&self.control).await?;
        let outcome = self.drop_unless_needed(projection, generation, &turn).await;
        turn.give_back().await;
        outcome
    }

    async fn drop_unless_needed(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
        turn: &RebuildTurn,
    ) -> Result<(), RebuildError> {
        self.control.build(projection.name(), generation).await?;
        if let Some((id, rows)) = self.unfinished_rebuild().await?
            && rows.iter().any(|row| row.makes(projection.name(), generation))
        {
            let names: Vec<_> = rows.into_iter().map(PartRow::into_name).collect();
            return Err(RebuildError::Unfinished { id, projections: names.join(" ") });
        }
        self.drop_build(projection, generation, turn).await
    }

    /// Stops its workers, removes it from its store, and forgets it. Safe to repeat.
    pub(super) async fn drop_build(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
        turn: &RebuildTurn,
    ) -> Result<(), RebuildError> {
        let name = projection.name();
        let live = self.give_up_build(name, generation, turn).await?;
        self.await_workers(name, generation).await?;
        if let Some(live) = live {
            // Readers outside this program may not have been told of the last switch.
            self.publish(projection, live).await?;
        }
        // Nobody who is late writes to it from here on: re-drives and fillings wait for the lock, and it is gone then.
        let doing = || postgres("removing a generation");
        let alone = self.control.begin_reading_alone(name, generation).await?;
        let discarded = projection.at(generation).discard().await;
        discarded.map_err(|source| RebuildError::Store { projection: name, generation, source })?;
        alone.rollback().await.map_err(doing())?;
        let mut transaction = turn.begin().await?;
        Control::forget_build(&mut transaction, name, generation).await?;
        transaction.commit().await.map_err(doing())?;
        tracing::info!(projection.name = name, generation = %generation, "generation dropped");
        Ok(())
    }

    /// From here on nobody can be pointed at the build, and nobody follows it. Answers with the generation that readers
    /// see. One that is forgotten already may have left something in its store.
    async fn give_up_build(
        &self,
        name: &'static str,
        generation: Generation,
        turn: &RebuildTurn,
    ) -> Result<Option<Generation>, RebuildError> {
        let mut transaction = turn.begin().await?;
        let pointer = Control::lock_pointer(&mut transaction).await?;
        let live = pointer.generations.get(name).copied();
        if live == Some(generation) {
            return Err(RebuildError::IsLive { projection: name.to_owned(), generation });
        }
        let any = [BuildState::Building, BuildState::Following, BuildState::Failed];
        match Control::move_build(&mut transaction, name, generation, &any, BuildState::Failed).await {
            Ok(()) | Err(ControlError::NoGeneration { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await.map_err(postgres("giving a generation up"))?;
        Ok(live)
    }

    async fn await_workers(&self, name: &'static str, generation: Generation) -> Result<(), RebuildError> {
        let deadline = Instant::now() + LET_GO;
        loop {
            let workers = self.control.workers().await?;
            let mut writing = workers.into_iter();
            let found = writing.find(|worker| worker.projection == name && worker.generation == generation.number());
            let Some(worker) = found else { return Ok(()) };
            if Instant::now() > deadline {
                let projection = name.to_owned();
                return Err(RebuildError::StillFollowed { projection, generation, host: worker.host });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Drops what readers neither see nor saw before the last switch, so that two of each remain.
    pub(super) async fn retire(
        &self,
        parts: &[Part],
        turn: &RebuildTurn,
    ) -> Result<Vec<(String, Generation)>, RebuildError> {
        let mut dropped = vec![];
        let pointer = self.control.pointer().await?;
        for build in self.control.builds().await? {
            let Some(part) = parts.iter().find(|part| part.name() == build.projection) else { continue };
            let is = |generations: &Generations| generations.get(&build.projection) == Some(&build.generation);
            if !is(&pointer.generations) && !is(&pointer.previous) {
                self.drop_build(&part.sink, build.generation, turn).await?;
                dropped.push((build.projection, build.generation));
            }
        }
        Ok(dropped)
    }
}
