//! Mutations of tasks.

use async_graphql::{Context, InputObject, Object, Result};
use domain::{
    proposal_generation::check_requested_task,
    task::{ParameterList, Task, TaskCommand, TaskNote, TaskSpec, TaskSubject},
};
use uuid::Uuid;

use super::node::{TaskKindEnum, TaskSubjectKindEnum};
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_aggregate_id},
    error,
    input_validation::parse_value,
    precondition::{self, PreconditionsInput},
};

/// Mutations of tasks.
#[derive(Default)]
pub(in crate::graphql) struct TaskMutation;

/// A task to request.
#[derive(InputObject)]
struct RequestTaskInput {
    /// Id, a UUID that you choose; generated if omitted.
    id: Option<Uuid>,
    /// Kind of task.
    kind: TaskKindEnum,
    /// Kind of the subject to work on.
    subject_kind: TaskSubjectKindEnum,
    /// Id of the subject to work on, at most 200 characters.
    subject_id: String,
    /// Parameters for the worker, at most 20.
    #[graphql(default)]
    parameters: Vec<TaskParameterInput>,
}

/// A parameter for the worker.
#[derive(InputObject)]
struct TaskParameterInput {
    /// Name: lower-case letters, digits and underscores, at most 50 characters.
    name: String,
    /// Value, at most 500 characters.
    value: String,
}

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
        let subject = TaskSubject::try_new(input.subject_kind.into(), &input.subject_id);
        let subject = subject.map_err(|reason| error::invalid_value("input.subjectId", &reason))?;
        let pairs = input.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()));
        let parameters =
            ParameterList::try_new(pairs).map_err(|reason| error::invalid_value("input.parameters", &reason))?;
        let spec = TaskSpec { kind: input.kind.into(), subject, parameters };
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
