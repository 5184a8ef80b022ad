//! Mutations of tasks.

use async_graphql::{Context, Object, Result};
use domain::{
    proposal_generation::check_requested_task,
    task::{Task, TaskCommand, TaskNote},
};
use uuid::Uuid;

use super::node::RequestTaskInput;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_aggregate_id},
    input_validation::parse_value,
    precondition::{self, PreconditionsInput},
};

/// Mutations of tasks.
#[derive(Default)]
pub(in crate::graphql) struct TaskMutation;

#[Object]
impl TaskMutation {
    /// Requests a task. Requires at least the role `CONTRIBUTOR`. For a generation of a proposal use `generateProposal`: a
    /// task of the kind `GENERATE_PROPOSAL` is for workers of your own.
    async fn request_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task to request.")] input: RequestTaskInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let mut conditions = precondition::parse_preconditions(ctx, conditions)?;
        let spec = input.parse_spec()?;
        if let Err(refusal) = check_requested_task(&spec) {
            return Ok(ChangeOutcome::refused(&refusal));
        }
        let id = new_aggregate_id(ctx, "task", input.id, &mut conditions)?;
        dispatch_command::<Task>(ctx, id, &conditions, |stamp| TaskCommand::Request { spec, stamp }).await
    }

    /// Cancels a task. Requires at least the role `CONTRIBUTOR`.
    async fn cancel_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task's id.")] id: Uuid,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, reason) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_value("reason", &reason, TaskNote::try_new)?);
        dispatch_command::<Task>(ctx, id, &conditions, |stamp| TaskCommand::Cancel { reason, stamp }).await
    }
}
