//! Rebuilding read models from the log.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use commands::caller::Caller;
use projections::runtime::{PartProgress, Phase, RebuildOptions, RebuildRecord, RebuildState as Recorded};

use super::{chosen, guard::OperatorOnly};
use crate::graphql::error;

/// How a rebuild is doing.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
enum RebuildState {
    /// Some process is at it.
    Running,
    /// It was cut off; the same request goes on with it.
    Interrupted,
    /// Readers see what it made.
    Switched,
    /// What it made is wrong or was given up; readers see what they saw before.
    Failed,
}

impl From<Recorded> for RebuildState {
    fn from(state: Recorded) -> Self {
        match state {
            Recorded::Running => Self::Running,
            Recorded::Interrupted => Self::Interrupted,
            Recorded::Switched => Self::Switched,
            Recorded::Failed => Self::Failed,
        }
    }
}

/// What is done for one read model of a rebuild.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
enum RebuildPhase {
    /// It is filled from the log.
    Filling,
    /// It follows Kafka and is not there yet.
    CatchingUp,
    /// It is compared with the log.
    Verifying,
    /// It waits for the other read models.
    Verified,
    /// Readers see it.
    Switched,
}

impl From<Phase> for RebuildPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Filling => Self::Filling,
            Phase::CatchingUp => Self::CatchingUp,
            Phase::Verifying => Self::Verifying,
            Phase::Verified => Self::Verified,
            Phase::Switched => Self::Switched,
        }
    }
}

/// One read model of a rebuild.
#[derive(SimpleObject)]
struct RebuildPart {
    /// The read model.
    projection: String,
    /// The build that is made.
    generation: i32,
    /// What is done.
    phase: RebuildPhase,
    /// The position of the log that it is at.
    position: u64,
    /// The position that it has to come to; 0 until that is known.
    target: u64,
    /// Events it has taken from the log.
    events: u64,
}

impl From<PartProgress> for RebuildPart {
    fn from(part: PartProgress) -> Self {
        Self {
            projection: part.projection,
            generation: part.generation.number(),
            phase: part.phase.into(),
            position: part.position,
            target: part.target,
            events: part.events,
        }
    }
}

/// A rebuild of read models.
#[derive(SimpleObject)]
pub(super) struct Rebuild {
    /// Its number.
    id: ID,
    /// How it is doing.
    state: RebuildState,
    /// Who asked for it.
    started_by: String,
    /// What stopped it.
    error: Option<String>,
    /// Its read models.
    parts: Vec<RebuildPart>,
}

impl From<RebuildRecord> for Rebuild {
    fn from(record: RebuildRecord) -> Self {
        Self {
            id: record.progress.id.into(),
            state: record.state.into(),
            started_by: record.by,
            error: record.error,
            parts: record.progress.parts.into_iter().map(RebuildPart::from).collect(),
        }
    }
}

/// What is on record about rebuilds.
#[derive(Default)]
pub(in crate::graphql) struct RebuildQuery;

#[Object]
impl RebuildQuery {
    /// The rebuild that began last, by whatever means; null where there was none. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild(&self, ctx: &Context<'_>) -> Result<Option<Rebuild>> {
        let control = chosen::stores(ctx)?.runtime.control();
        let last = control.last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        Ok(last.map(Rebuild::from))
    }
}

/// Begins rebuilds.
#[derive(Default)]
pub(super) struct RebuildMutation;

#[Object]
impl RebuildMutation {
    /// Begins to build the next generation of read models from the log, beside what readers see. They are switched all
    /// at once when it is compared with the log; until then nothing changes for them. Goes on with a rebuild of the same
    /// read models that was cut off. The subscription `rebuildProgress` tells how far it is. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild_projections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which read models, together; all of them where nothing is said.")] projections: Option<
            Vec<String>,
        >,
        #[graphql(desc = "Switch also if events had to be parked that the live generation took in.", default)]
        allow_parked: bool,
    ) -> Result<Rebuild> {
        let stores = chosen::stores(ctx)?;
        let chosen = chosen::projections(stores, projections)?;
        let by = error::wired(ctx.data::<Caller>())?.user_id.to_string();
        let options = RebuildOptions { by, allow_parked, ..RebuildOptions::default() };
        stores.rebuilds.begin(chosen, options).await.map_err(|error| error::operation(&error))?;
        let last = stores.runtime.control().last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        last.map(Rebuild::from).ok_or_else(error::vanished)
    }
}
