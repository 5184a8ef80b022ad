//! Rebuilding read models from the log.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use commands::caller::Caller;
use projections::runtime::{PartPhase, PartProgress, RebuildOptions, RebuildRecord, RebuildStatus as Recorded};

use super::{guard::OperatorOnly, selection};
use crate::graphql::error;

/// How a rebuild is doing.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "RebuildState")]
enum RebuildStateEnum {
    /// Some process is at it.
    Running,
    /// It was cut off; the same request goes on with it.
    Interrupted,
    /// Readers see what it made.
    Switched,
    /// What it made is wrong or was given up; readers see what they saw before.
    Failed,
}

impl From<Recorded> for RebuildStateEnum {
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
#[graphql(name = "RebuildPhase")]
enum RebuildPhaseEnum {
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

impl From<PartPhase> for RebuildPhaseEnum {
    fn from(phase: PartPhase) -> Self {
        match phase {
            PartPhase::Filling => Self::Filling,
            PartPhase::CatchingUp => Self::CatchingUp,
            PartPhase::Verifying => Self::Verifying,
            PartPhase::Verified => Self::Verified,
            PartPhase::Switched => Self::Switched,
        }
    }
}

/// One read model of a rebuild.
#[derive(SimpleObject)]
#[graphql(name = "RebuildPart")]
struct RebuildPartNode {
    /// The read model.
    projection: String,
    /// The build that is made.
    generation: i32,
    /// What is done.
    phase: RebuildPhaseEnum,
    /// The position of the log that it is at.
    position: u64,
    /// The position that it has to come to; 0 until that is known.
    target: u64,
    /// Events it has taken from the log.
    events: u64,
}

impl From<PartProgress> for RebuildPartNode {
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
#[graphql(name = "Rebuild")]
pub(super) struct RebuildNode {
    /// Its number.
    id: ID,
    /// How it is doing.
    state: RebuildStateEnum,
    /// Who asked for it.
    started_by: String,
    /// What stopped it.
    error: Option<String>,
    /// Its read models.
    parts: Vec<RebuildPartNode>,
}

impl From<RebuildRecord> for RebuildNode {
    fn from(record: RebuildRecord) -> Self {
        Self {
            id: record.progress.id.into(),
            state: record.state.into(),
            started_by: record.started_by,
            error: record.error,
            parts: record.progress.parts.into_iter().map(RebuildPartNode::from).collect(),
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
    async fn rebuild(&self, ctx: &Context<'_>) -> Result<Option<RebuildNode>> {
        let control = selection::context_stores(ctx)?.runtime.control();
        let last = control.last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        Ok(last.map(RebuildNode::from))
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
    ) -> Result<RebuildNode> {
        let stores = selection::context_stores(ctx)?;
        let chosen = selection::select_projections(stores, projections)?;
        let by = error::require_context_data(ctx.data::<Caller>())?.user_id.to_string();
        let options = RebuildOptions { started_by: by, allow_parked, ..RebuildOptions::default() };
        stores.rebuilds.start_rebuild(chosen, options).await.map_err(|error| error::rebuild_error(&error))?;
        let last = stores.runtime.control().last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        last.map(RebuildNode::from).ok_or_else(error::missing_rebuild)
    }
}
