//! Moves the generation pointer: forward to new generations, or back.

use std::{sync::Arc, time::Duration};

use super::{RebuildError, RebuildPart, rebuild_lease::RebuildLease};
use crate::runtime::{
    AnyProjection, ControlError, ControlStore, GenerationMap, GenerationPointer, GenerationState, ParkedStreamQuery,
    ProjectionRuntime, ReadModelGeneration, control_store::postgres_error,
};

/// How long a rollback waits for the earlier generation to catch up.
const ROLLBACK_TIMEOUT: Duration = Duration::from_mins(1);

impl ProjectionRuntime {
    /// Makes the new generations active, all at once. Returns them, and those that were active before.
    pub(super) async fn switch_generations(
        &self,
        id: i64,
        parts: &[RebuildPart],
        lease: &RebuildLease,
    ) -> Result<(GenerationMap, GenerationMap), RebuildError> {
        let to: GenerationMap = parts.iter().map(|part| (part.name().to_owned(), part.generation)).collect();
        let control_error = || postgres_error("switching generations");
        let mut transaction = lease.begin_transaction().await?;
        let pointer = ControlStore::move_pointer(&mut transaction, &to).await?;
        let switched = sqlx::query_scalar::<_, i64>(include_str!("switch/mark_switched.sql")).bind(id);
        if switched.fetch_optional(&mut *transaction).await.map_err(control_error())?.is_none() {
            return Err(ControlError::RebuildNotRunning { id }.into());
        }
        transaction.commit().await.map_err(control_error())?;
        let before = pointer.previous.into_iter().filter(|(projection, _)| to.contains_key(projection)).collect();
        Ok((to, before))
    }

    /// Publishes the active generation to direct readers of the store, who read an earlier one until then. The
    /// supervisor retries after a failure.
    pub(super) async fn publish_generation(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
    ) -> Result<(), RebuildError> {
        let published = projection.with_generation(generation).switch_direct_readers().await;
        published.map_err(|source| RebuildError::Unpublished { projection: projection.name(), generation, source })
    }

    /// Rejects generations that parked streams which the active one applied: queries would return less after a switch.
    pub(super) async fn check_dead_letters(
        &self,
        parts: &[RebuildPart],
        options: &super::RebuildOptions,
    ) -> Result<(), RebuildError> {
        for part in parts {
            let Some(active) = part.replaces else { continue };
            let query_for = |generation| ParkedStreamQuery {
                projection: Some(part.name().to_owned()),
                generation: Some(generation),
                ..ParkedStreamQuery::default()
            };
            let known = self.control.find_parked_streams(&query_for(active)).await?;
            let mut new = self.control.find_parked_streams(&query_for(part.generation)).await?;
            new.retain(|parked| !known.iter().any(|old| old.stream == parked.stream));
            if !new.is_empty() && !options.allow_parked {
                return Err(RebuildError::NewDeadLetters {
                    projection: part.name(),
                    generation: part.generation,
                    parked: new.len() as u64,
                });
            }
        }
        Ok(())
    }

    /// Switches these projections back to the generations that were active before their last switch, all at once.
    /// Workers still follow the generations that were active until now, so that the same call switches forward again.
    ///
    /// # Errors
    /// [`RebuildError::NothingRetained`] when there is no earlier generation, [`RebuildError::Unpublished`] when the
    /// pointer has moved and a store could not be updated, and others when nothing was switched.
    pub async fn rollback(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<GenerationPointer, RebuildError> {
        let lease = RebuildLease::acquire(&self.control).await?;
        let outcome = self.rollback_with_lease(projections, &lease).await;
        lease.release().await;
        outcome
    }

    async fn rollback_with_lease(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        lease: &RebuildLease,
    ) -> Result<GenerationPointer, RebuildError> {
        let (pointer, builds) = (self.control.load_pointer().await?, self.control.load_generations().await?);
        let mut targets = GenerationMap::new();
        for projection in projections {
            let name = projection.name();
            let Some(earlier) = pointer.previous.get(name) else { continue };
            let follows = builds.iter().any(|build| {
                build.projection == name && build.generation == *earlier && build.state == GenerationState::Following
            });
            if follows && pointer.generations.get(name) != Some(earlier) {
                targets.insert(name.to_owned(), *earlier);
            }
        }
        if targets.len() != projections.len() {
            let missing = projections.iter().map(|projection| projection.name());
            let missing: Vec<_> = missing.filter(|name| !targets.contains_key(*name)).collect();
            return Err(RebuildError::NothingRetained { projections: missing.join(" ") });
        }
        for projection in projections {
            self.catch_up_before_rollback(projection, targets[projection.name()]).await?;
        }
        let control_error = || postgres_error("switching generations back");
        let mut transaction = lease.begin_transaction().await?;
        let pointer = ControlStore::move_pointer(&mut transaction, &targets).await?;
        transaction.commit().await.map_err(control_error())?;
        for projection in projections {
            self.publish_generation(projection, targets[projection.name()]).await?;
        }
        Ok(pointer)
    }

    async fn catch_up_before_rollback(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
    ) -> Result<(), RebuildError> {
        let part = RebuildPart {
            projection: projection.with_generation(generation),
            generation,
            replaces: None,
            phase: super::RebuildPhase::CatchingUp,
            position: 0,
            events: 0,
        };
        self.catch_up(&part, ROLLBACK_TIMEOUT, &tokio_util::sync::CancellationToken::new()).await
    }
}
