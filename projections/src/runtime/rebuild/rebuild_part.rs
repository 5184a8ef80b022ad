//! The part of a rebuild that rebuilds one projection, and the row that it is stored in.

use std::sync::Arc;

use sqlx::{PgConnection, Row, postgres::PgRow};
use tokio::sync::watch;

use super::{RebuildError, RebuildPartProgress, RebuildPhase, RebuildProgress};
use crate::{
    QueryError,
    runtime::{AnyProjection, ControlError, ReadModelGeneration, control_store::postgres_error},
};

/// The rebuild of one projection.
#[derive(Clone)]
pub(super) struct RebuildPart {
    /// Handle to the generation that is built.
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) generation: ReadModelGeneration,
    /// The generation that is active meanwhile.
    pub(super) replaces: Option<ReadModelGeneration>,
    pub(super) phase: RebuildPhase,
    pub(super) position: u64,
    pub(super) events: u64,
}

impl RebuildPart {
    pub(super) fn name(&self) -> &'static str {
        self.projection.name()
    }

    pub(super) fn progress(&self) -> RebuildPartProgress {
        RebuildPartProgress {
            projection: self.name().to_owned(),
            generation: self.generation,
            phase: self.phase,
            position: self.position,
            target: 0,
            events: self.events,
        }
    }

    /// Changes the published progress of this part.
    pub(super) fn update_progress(
        &self,
        progress: &watch::Sender<RebuildProgress>,
        change: impl FnOnce(&mut RebuildPartProgress),
    ) {
        progress.send_modify(|all| {
            if let Some(entry) = all.parts.iter_mut().find(|part| part.projection == self.name()) {
                change(entry);
            }
        });
    }

    pub(super) fn to_store_error(&self, source: QueryError) -> RebuildError {
        RebuildError::Store { projection: self.name(), generation: self.generation, source }
    }
}

/// A part as stored.
pub(super) struct RebuildPartRow {
    pub(super) projection: String,
    pub(super) generation: ReadModelGeneration,
    replaces: Option<ReadModelGeneration>,
    phase: RebuildPhase,
    position: u64,
    target: u64,
    events: u64,
}

impl RebuildPartRow {
    pub(super) fn new(
        projection: &str,
        generation: ReadModelGeneration,
        replaces: Option<ReadModelGeneration>,
    ) -> Self {
        let (projection, phase) = (projection.to_owned(), RebuildPhase::Filling);
        Self { projection, generation, replaces, phase, position: 0, target: 0, events: 0 }
    }

    pub(super) fn to_rebuild(&self, projection: &Arc<dyn AnyProjection>) -> RebuildPart {
        let handle = projection.with_generation(self.generation);
        let handle = self.replaces.map_or(Arc::clone(&handle), |active| handle.with_copy_source(active));
        let Self { generation, replaces, phase, position, events, .. } = *self;
        RebuildPart { projection: handle, generation, replaces, phase, position, events }
    }

    /// Whether the part builds this generation.
    pub(super) fn builds_generation(&self, projection: &str, generation: ReadModelGeneration) -> bool {
        self.projection == projection && self.generation == generation
    }

    pub(super) fn into_name(self) -> String {
        self.projection
    }

    pub(super) fn progress(&self) -> RebuildPartProgress {
        let Self { generation, phase, position, target, events, .. } = *self;
        RebuildPartProgress { projection: self.projection.clone(), generation, phase, position, target, events }
    }
}

pub(super) async fn load_rebuild_parts(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Vec<RebuildPartRow>, ControlError> {
    let rows = sqlx::query(include_str!("progress/parts.sql"))
        .bind(id)
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading the parts of a rebuild"))?;
    rows.iter()
        .map(rebuild_part_from_row)
        .collect::<Result<_, _>>()
        .map_err(postgres_error("decoding a part of a rebuild"))
}

fn rebuild_part_from_row(row: &PgRow) -> Result<RebuildPartRow, sqlx::Error> {
    let decode = |error: crate::runtime::InvalidGeneration| sqlx::Error::Decode(error.into());
    let phase: String = row.try_get("phase")?;
    let replaces: Option<i32> = row.try_get("replaces")?;
    Ok(RebuildPartRow {
        projection: row.try_get("projection")?,
        generation: ReadModelGeneration::try_new(row.try_get("generation")?).map_err(decode)?,
        replaces: replaces.map(ReadModelGeneration::try_new).transpose().map_err(decode)?,
        phase: RebuildPhase::from_name(&phase)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown rebuild phase {phase}").into()))?,
        position: row.try_get::<i64, _>("position")?.unsigned_abs(),
        target: row.try_get::<i64, _>("target")?.unsigned_abs(),
        events: row.try_get::<i64, _>("events")?.unsigned_abs(),
    })
}
