//! Moves the one pointer: forward to new generations, or back.

use std::{sync::Arc, time::Duration};

use super::{Part, RebuildError, turn::RebuildTurn};
use crate::runtime::{
    AnyProjection, BuildState, Control, ControlError, Generation, Generations, LetterQuery, Pointer, Runtime,
    control::postgres,
};

/// How long a rollback waits for the earlier generation to be where the log is.
const ROLLBACK_PATIENCE: Duration = Duration::from_mins(1);

impl Runtime {
    /// Points readers at the new generations, all at once. Answers with what they see now and what they saw before.
    pub(super) async fn switch(
        &self,
        id: i64,
        parts: &[Part],
        turn: &RebuildTurn,
    ) -> Result<(Generations, Generations), RebuildError> {
        let to: Generations = parts.iter().map(|part| (part.name().to_owned(), part.generation)).collect();
        let doing = || postgres("switching generations");
        let mut transaction = turn.begin().await?;
        let pointer = Control::move_pointer(&mut transaction, &to).await?;
        let switched = sqlx::query_scalar::<_, i64>(include_str!("switch/done.sql")).bind(id);
        if switched.fetch_optional(&mut *transaction).await.map_err(doing())?.is_none() {
            return Err(ControlError::NotRunning { id }.into());
        }
        transaction.commit().await.map_err(doing())?;
        let before = pointer.previous.into_iter().filter(|(projection, _)| to.contains_key(projection)).collect();
        Ok((to, before))
    }

    /// Tells those who do not ask this program what to read. They see an earlier generation until it is done: services
    /// try it again by themselves.
    pub(super) async fn publish(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let published = projection.at(generation).publish().await;
        published.map_err(|source| RebuildError::Unpublished { projection: projection.name(), generation, source })
    }

    /// A generation that parks what the live one took in would show less.
    pub(super) async fn check_dead_letters(
        &self,
        parts: &[Part],
        options: &super::RebuildOptions,
    ) -> Result<(), RebuildError> {
        for part in parts {
            let Some(live) = part.replaces else { continue };
            let of = |generation| LetterQuery {
                projection: Some(part.name().to_owned()),
                generation: Some(generation),
                ..LetterQuery::default()
            };
            let known = self.control.parked(&of(live)).await?;
            let mut new = self.control.parked(&of(part.generation)).await?;
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

    /// Points readers back at what they saw before the last switch, of these projections, all at once. The generations
    /// they leave go on following, so that the same call goes forward again.
    ///
    /// # Errors
    /// [`RebuildError::NothingRetained`] where there is no earlier generation, and others when it could not be done.
    pub async fn rollback(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<Pointer, RebuildError> {
        let turn = RebuildTurn::take(&self.control).await?;
        let outcome = self.move_back(projections, &turn).await;
        turn.give_back().await;
        outcome
    }

    async fn move_back(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        turn: &RebuildTurn,
    ) -> Result<Pointer, RebuildError> {
        let (pointer, builds) = (self.control.pointer().await?, self.control.builds().await?);
        let mut back = Generations::new();
        for projection in projections {
            let name = projection.name();
            let Some(earlier) = pointer.previous.get(name) else { continue };
            let follows = builds.iter().any(|build| {
                build.projection == name && build.generation == *earlier && build.state == BuildState::Following
            });
            if follows && pointer.generations.get(name) != Some(earlier) {
                back.insert(name.to_owned(), *earlier);
            }
        }
        if back.len() != projections.len() {
            let missing = projections.iter().map(|projection| projection.name());
            let missing: Vec<_> = missing.filter(|name| !back.contains_key(*name)).collect();
            return Err(RebuildError::NothingRetained { projections: missing.join(" ") });
        }
        for projection in projections {
            self.wait_until_current(projection, back[projection.name()]).await?;
        }
        let doing = || postgres("switching generations back");
        let mut transaction = turn.begin().await?;
        let pointer = Control::move_pointer(&mut transaction, &back).await?;
        transaction.commit().await.map_err(doing())?;
        for projection in projections {
            self.publish(projection, back[projection.name()]).await?;
        }
        Ok(pointer)
    }

    async fn wait_until_current(
        &self,
        projection: &Arc<dyn AnyProjection>,
        generation: Generation,
    ) -> Result<(), RebuildError> {
        let part = Part {
            sink: projection.at(generation),
            generation,
            replaces: None,
            phase: super::Phase::CatchingUp,
            position: 0,
            events: 0,
        };
        self.catch_up(&part, ROLLBACK_PATIENCE, &tokio_util::sync::CancellationToken::new()).await
    }
}
