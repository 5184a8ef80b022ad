//! The stored progress of rebuilds; an interrupted rebuild resumes from it.

use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    RebuildError, RebuildOptions, RebuildPhase,
    rebuild_lease::RebuildLease,
    rebuild_part::{RebuildPart, RebuildPartRow, load_rebuild_parts},
};
use crate::runtime::{
    AnyProjection, ControlError, ControlStore, GenerationRecord, GenerationState, ProjectionRuntime,
    ReadModelGeneration, control_store::postgres_error,
};

impl ProjectionRuntime {
    /// Resumes an interrupted rebuild if it is of the same projections; begins one if there is none.
    pub(super) async fn begin_or_resume_rebuild(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        options: &RebuildOptions,
        lease: &RebuildLease,
    ) -> Result<(i64, bool, Vec<RebuildPart>), RebuildError> {
        let incarnation = self.log.incarnation().await?;
        let pointer = self.control.load_pointer().await?;
        if let Some((id, rows)) = self.unfinished_rebuild().await? {
            return Ok((id, true, self.resume_parts(id, rows, projections, incarnation).await?));
        }
        let control_error = || postgres_error("beginning a rebuild");
        let mut transaction = lease.begin_transaction().await?;
        let id: i64 = sqlx::query_scalar(
            "insert into projection_rebuilds (state, started_by) values ('running', $1) returning id",
        )
        .bind(&options.started_by)
        .fetch_one(&mut *transaction)
        .await
        .map_err(|error| control_error()(error))?;
        let mut parts = vec![];
        for projection in projections {
            let generation = ControlStore::add_generation(&mut transaction, projection.name(), incarnation).await?;
            let replaces = pointer.generations.get(projection.name()).copied();
            sqlx::query(include_str!("progress/add_part.sql"))
                .bind(id)
                .bind(projection.name())
                .bind(generation.number())
                .bind(replaces.map(ReadModelGeneration::number))
                .execute(&mut *transaction)
                .await
                .map_err(|error| control_error()(error))?;
            let row = RebuildPartRow::new(projection.name(), generation, replaces);
            parts.push(row.to_rebuild(projection));
        }
        transaction.commit().await.map_err(|error| control_error()(error))?;
        Ok((id, false, parts))
    }

    /// Returns the parts of an interrupted rebuild, if it is of these projections and none of its generations was
    /// abandoned.
    async fn resume_parts(
        &self,
        id: i64,
        rows: Vec<RebuildPartRow>,
        projections: &[Arc<dyn AnyProjection>],
        incarnation: Uuid,
    ) -> Result<Vec<RebuildPart>, RebuildError> {
        let is_same_rebuild = rows.len() == projections.len()
            && projections.iter().all(|projection| rows.iter().any(|row| row.projection == projection.name()));
        if !is_same_rebuild {
            let names: Vec<_> = rows.into_iter().map(RebuildPartRow::into_name).collect();
            return Err(RebuildError::Unfinished { id, projections: names.join(" ") });
        }
        let builds = self.control.load_generations().await?;
        let mut parts = vec![];
        for row in rows {
            let is_target = |build: &&GenerationRecord| row.builds_generation(&build.projection, build.generation);
            let can_resume =
                |build: &GenerationRecord| build.state != GenerationState::Failed && build.incarnation == incarnation;
            if !builds.iter().find(is_target).is_some_and(can_resume) {
                return Err(RebuildError::Abandoned { id });
            }
            let projection = projections.iter().find(|projection| projection.name() == row.projection);
            parts.extend(projection.map(|projection| row.to_rebuild(projection)));
        }
        Ok(parts)
    }

    /// Abandons an interrupted rebuild and removes its generations. Returns its id, if there was one.
    ///
    /// # Errors
    /// [`RebuildError`] when a generation cannot be removed; the same call resumes. Active generations are unchanged.
    pub async fn abandon_rebuild(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<Option<i64>, RebuildError> {
        let lease = RebuildLease::acquire(&self.control).await?;
        let outcome = self.abandon_with_lease(projections, &lease).await;
        lease.release().await;
        outcome
    }

    async fn abandon_with_lease(
        &self,
        projections: &[Arc<dyn AnyProjection>],
        lease: &RebuildLease,
    ) -> Result<Option<i64>, RebuildError> {
        let Some((id, rows)) = self.unfinished_rebuild().await? else { return Ok(None) };
        for row in rows {
            if let Some(projection) = projections.iter().find(|projection| projection.name() == row.projection) {
                self.retire_generation(projection, row.generation, lease).await?;
            }
        }
        let mut transaction = lease.begin_transaction().await?;
        end_rebuild(&mut transaction, id, "abandoned").await?;
        transaction.commit().await.map_err(postgres_error("saving the end of a rebuild"))?;
        Ok(Some(id))
    }

    /// Loads the rebuild that was begun and neither switched nor abandoned.
    pub(super) async fn unfinished_rebuild(&self) -> Result<Option<(i64, Vec<RebuildPartRow>)>, ControlError> {
        let mut connection = self.control.pool().acquire().await.map_err(postgres_error("reading rebuilds"))?;
        select_unfinished_rebuild(&mut connection).await
    }

    /// Saves the error of a rebuild. The rebuild can be resumed unless its generation differs from the log; a switched
    /// one stays switched.
    pub(super) async fn save_rebuild_error(&self, id: i64, error: &RebuildError, lease: &RebuildLease) {
        let reason = crate::runtime::error::format_limited_chain(error);
        let saving = async {
            let mut transaction = lease.begin_transaction().await?;
            if matches!(error, RebuildError::Differs { .. }) {
                end_rebuild(&mut transaction, id, &reason).await?;
            } else {
                sqlx::query("update projection_rebuilds set error = $2 where id = $1")
                    .bind(id)
                    .bind(&reason)
                    .execute(&mut *transaction)
                    .await
                    .map_err(postgres_error("saving the error of a rebuild"))?;
            }
            transaction.commit().await.map_err(postgres_error("saving the error of a rebuild"))
        };
        if let Err(error) = saving.await {
            tracing::warn!(
                reason = crate::runtime::error::format_limited_chain(&error),
                "saving the error of a rebuild failed"
            );
        }
    }

    pub(super) async fn save_phase(
        &self,
        id: i64,
        part: &RebuildPart,
        phase: RebuildPhase,
        lease: &RebuildLease,
    ) -> Result<(), ControlError> {
        let mut transaction = lease.begin_transaction().await?;
        advance_phase(&mut transaction, id, part, phase).await?;
        transaction.commit().await.map_err(postgres_error("saving the progress of a rebuild"))
    }

    pub(super) async fn save_position(
        &self,
        id: i64,
        part: &RebuildPart,
        lease: &RebuildLease,
        (position, target, events): (u64, u64, u64),
    ) -> Result<(), ControlError> {
        let to_bigint = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut transaction = lease.begin_transaction().await?;
        let updated: Option<i64> = sqlx::query_scalar(include_str!("progress/position.sql"))
            .bind(id)
            .bind(part.name())
            .bind(to_bigint(position))
            .bind(to_bigint(target))
            .bind(to_bigint(events))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(postgres_error("saving the progress of a rebuild"))?;
        if updated.is_none() {
            return Err(ControlError::RebuildNotRunning { id });
        }
        transaction.commit().await.map_err(postgres_error("saving the progress of a rebuild"))
    }

    /// Marks a new generation as failed, so that workers stop following it; never the active one.
    pub(super) async fn mark_generation_failed(
        &self,
        part: &RebuildPart,
        lease: &RebuildLease,
    ) -> Result<(), ControlError> {
        let mut transaction = lease.begin_transaction().await?;
        let active = ControlStore::lock_pointer(&mut transaction).await?.generations.get(part.name()).copied();
        if active == Some(part.generation) {
            let projection = part.name().to_owned();
            return Err(ControlError::IsActive { projection, generation: part.generation });
        }
        let from = [GenerationState::Building, GenerationState::Following];
        ControlStore::move_generation(&mut transaction, part.name(), part.generation, &from, GenerationState::Failed)
            .await?;
        transaction.commit().await.map_err(postgres_error("marking a generation as failed"))
    }
}

/// Moves a part of a running rebuild to a phase, from a phase that may precede it.
pub(super) async fn advance_phase(
    connection: &mut PgConnection,
    id: i64,
    part: &RebuildPart,
    phase: RebuildPhase,
) -> Result<(), ControlError> {
    let moved: Option<i64> = sqlx::query_scalar(include_str!("progress/phase.sql"))
        .bind(id)
        .bind(part.name())
        .bind(phase.name())
        .bind(phase.allowed_predecessors().map(RebuildPhase::name).to_vec())
        .fetch_optional(connection)
        .await
        .map_err(postgres_error("saving the progress of a rebuild"))?;
    moved.map(drop).ok_or(ControlError::RebuildNotRunning { id })
}

/// Ends a running rebuild without a switch.
async fn end_rebuild(connection: &mut PgConnection, id: i64, reason: &str) -> Result<(), ControlError> {
    let ended: Option<i64> = sqlx::query_scalar(include_str!("progress/end.sql"))
        .bind(id)
        .bind(reason)
        .fetch_optional(connection)
        .await
        .map_err(postgres_error("saving the end of a rebuild"))?;
    ended.map(drop).ok_or(ControlError::RebuildNotRunning { id })
}

async fn select_unfinished_rebuild(
    connection: &mut PgConnection,
) -> Result<Option<(i64, Vec<RebuildPartRow>)>, ControlError> {
    let id: Option<i64> =
        sqlx::query_scalar("select id from projection_rebuilds where state = 'running' order by id desc limit 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(postgres_error("reading rebuilds"))?;
    match id {
        None => Ok(None),
        Some(id) => Ok(Some((id, load_rebuild_parts(connection, id).await?))),
    }
}
