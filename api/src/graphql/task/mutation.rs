//! Asking for work.

use async_graphql::{Context, InputObject, Object, Result};
use domain::task::{ParameterList, Task, TaskCommand, TaskNote, TaskSpec, TaskSubject};
use uuid::Uuid;

use super::node::{TaskKindEnum, TaskSubjectKindEnum};
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_id},
    error,
    input_validation::parse_value,
    precondition::{self, PreconditionsInput},
};

/// Asks for work.
#[derive(Default)]
pub(in crate::graphql) struct TaskMutation;

/// What is wanted.
#[derive(InputObject)]
struct RequestTaskInput {
    /// Its id, a UUID of yours; one is made where none is given.
    id: Option<Uuid>,
    /// What kind of work it is.
    kind: TaskKindEnum,
    /// What kind of thing is to be worked on.
    subject_kind: TaskSubjectKindEnum,
    /// The id of what is to be worked on, at most 200 characters.
    subject_id: String,
    /// What the worker is to be told besides, at most 20.
    #[graphql(default)]
    parameters: Vec<TaskParameterInput>,
}

/// Something that a worker is to be told.
#[derive(InputObject)]
struct TaskParameterInput {
    /// What it is called: lower-case letters, digits and underscores, at most 50.
    name: String,
    /// What it says, at most 500 characters.
    value: String,
}

#[Object]
impl TaskMutation {
    /// Have something done; contributors may.
    async fn request_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is wanted.")] input: RequestTaskInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let subject = TaskSubject::try_new(input.subject_kind.into(), &input.subject_id);
        let subject = subject.map_err(|reason| error::invalid_value("input.subjectId", &reason))?;
        let told = input.parameters.iter().map(|told| (told.name.as_str(), told.value.as_str()));
        let parameters =
            ParameterList::try_new(told).map_err(|reason| error::invalid_value("input.parameters", &reason))?;
        let job = TaskSpec { kind: input.kind.into(), subject, parameters };
        let id = new_id(ctx, "task", input.id, &conditions)?;
        dispatch_command::<Task>(ctx, id, &conditions, |stamp| TaskCommand::Request { job, stamp }).await
    }

    /// Do not have it done; contributors may.
    async fn cancel_task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "Why not, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, reason) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_value("reason", &reason, TaskNote::try_new)?);
        dispatch_command::<Task>(ctx, id, &conditions, |stamp| TaskCommand::Cancel { reason, stamp }).await
    }
}
