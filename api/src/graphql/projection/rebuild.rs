//! Rebuilds of read models from the log.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use projections::runtime::{
    RebuildOptions, RebuildPartProgress, RebuildPhase, RebuildRecord, RebuildStatus as Recorded,
};

use super::{guard::OperatorOnly, selection};
use crate::graphql::{command_dispatch::request_identity, error};

/// State of a rebuild.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "RebuildState")]
enum RebuildStateEnum {
    /// A process is running it.
    Running,
    /// It was interrupted; repeating the request resumes it.
    Interrupted,
    /// Finished: the new generations are active.
    Switched,
    /// The new generations are wrong or were abandoned; the earlier ones stay active.
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

/// Phase of one projection in a rebuild.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(name = "RebuildPhase")]
enum RebuildPhaseEnum {
    /// It is being filled from the log.
    Filling,
    /// It is catching up from Kafka.
    CatchingUp,
    /// It is being compared with the log.
    Verifying,
    /// It is verified and waits for the other projections.
    Verified,
    /// It is active.
    Switched,
}

impl From<RebuildPhase> for RebuildPhaseEnum {
    fn from(phase: RebuildPhase) -> Self {
        match phase {
            RebuildPhase::Filling => Self::Filling,
            RebuildPhase::CatchingUp => Self::CatchingUp,
            RebuildPhase::Verifying => Self::Verifying,
            RebuildPhase::Verified => Self::Verified,
            RebuildPhase::Switched => Self::Switched,
        }
    }
}

/// One projection of a rebuild.
#[derive(SimpleObject)]
#[graphql(name = "RebuildPart")]
struct RebuildPartNode {
    /// Name of the projection.
    projection: String,
    /// Number of the new generation.
    generation: i32,
    /// Current phase.
    phase: RebuildPhaseEnum,
    /// Log position that it has reached.
    position: u64,
    /// Log position that it has to reach; 0 until known.
    target: u64,
    /// Number of events read from the log.
    events: u64,
}

impl From<RebuildPartProgress> for RebuildPartNode {
    fn from(part: RebuildPartProgress) -> Self {
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

/// A rebuild of one or more projections.
#[derive(SimpleObject)]
#[graphql(name = "Rebuild")]
pub(super) struct RebuildNode {
    /// Number of the rebuild.
    id: ID,
    /// State.
    state: RebuildStateEnum,
    /// Who started it.
    started_by: String,
    /// Why it stopped.
    error: Option<String>,
    /// The projections it rebuilds.
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

/// Query of the last rebuild.
#[derive(Default)]
pub(in crate::graphql) struct RebuildQuery;

#[Object]
impl RebuildQuery {
    /// The most recently started rebuild, no matter how it was started; null if there was none. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild(&self, ctx: &Context<'_>) -> Result<Option<RebuildNode>> {
        let control = selection::context_stores(ctx)?.runtime.control();
        let last = control.last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        Ok(last.map(RebuildNode::from))
    }
}

/// Mutation that starts rebuilds.
#[derive(Default)]
pub(super) struct RebuildMutation;

#[Object]
impl RebuildMutation {
    /// Starts to build a new generation of the projections from the log, beside the active ones. Once all are verified
    /// against the log they become active together; until then queries are unaffected. Resumes an interrupted rebuild
    /// of the same projections. The subscription `rebuildProgress` reports the progress. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rebuild_projections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Projections to rebuild together; all by default.")] projections: Option<Vec<String>>,
        #[graphql(desc = "Switch even if the new generation parked events that the active one applied.", default)]
        allow_parked: bool,
    ) -> Result<RebuildNode> {
        let app = selection::context_stores(ctx)?;
        let chosen = selection::select_projections(app, projections)?;
        let by = request_identity(ctx)?.user().to_string();
        let options = RebuildOptions { started_by: by, allow_parked, ..RebuildOptions::default() };
        app.rebuilds.start_rebuild(chosen, options).await.map_err(|error| error::rebuild_error(&error))?;
        let last = app.runtime.control().last_rebuild().await.map_err(|error| error::unavailable(&error))?;
        last.map(RebuildNode::from).ok_or_else(error::missing_rebuild)
    }
}
