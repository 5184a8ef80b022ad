//! Removes generations that nobody reads any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Part, RebuildError, ledger::Turn};
use crate::runtime::{AnyProjection, BuildState, Generation, Runtime};

/// How long workers may take to let go of a generation.
const LET_GO: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Runtime {
    /// Drops a generation that readers do not see.
    ///
    /// # Errors
    /// [`RebuildError::IsLive`] for the one they see, and others when it could not be done.
    pub async fn drop_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let turn = Turn::take(&self.control).await?;
        let outcome = self.drop_unless_live(projection, generation).await;
        turn.give_back().await;
        outcome
    }

    async fn drop_unless_live(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        self.control.build(projection.name(), generation).await?;
        if self.control.pointer().await?.generations.get(projection.name()) == Some(&generation) {
            return Err(RebuildError::IsLive { projection: projection.name().to_owned(), generation });
        }
        self.drop_build(projection, generation).await
    }

    /// Stops its workers, removes it from its store, and forgets it.
    pub(super) async fn drop_build(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let name = projection.name();
        self.control.set_build_state(name, generation, BuildState::Failed, None).await?;
        let deadline = Instant::now() + LET_GO;
        loop {
            let workers = self.control.workers().await?;
            let mut writing = workers.into_iter();
            let found = writing.find(|worker| worker.projection == name && worker.generation == generation.number());
            let Some(worker) = found else { break };
            if Instant::now() > deadline {
                let projection = name.to_owned();
                return Err(RebuildError::StillFollowed { projection, generation, host: worker.host });
            }
            sleep(LOOK_EVERY).await;
        }
        let discarded = projection.at(generation).discard().await;
        discarded.map_err(|source| RebuildError::Store { projection: name, generation, source })?;
        self.control.forget_build(name, generation).await?;
        tracing::info!(projection.name = name, generation = %generation, "generation dropped");
        Ok(())
    }

    /// Drops what is older than the generation that was live until now, so that two of each remain.
    pub(super) async fn retire(&self, parts: &[Part]) -> Result<Vec<(String, Generation)>, RebuildError> {
        let mut dropped = vec![];
        for build in self.control.builds().await? {
            let Some(part) = parts.iter().find(|part| part.name() == build.projection) else { continue };
            if build.generation != part.generation && Some(build.generation) != part.replaces {
                self.drop_build(&part.sink, build.generation).await?;
                dropped.push((build.projection, build.generation));
            }
        }
        Ok(dropped)
    }
}
