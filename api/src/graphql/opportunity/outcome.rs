//! Outcome of a mutation of an opportunity.

use async_graphql::{ComplexObject, Context, Enum, SimpleObject, Union};
use commands::{dispatcher::CommandOutcome, error::CommandError, precondition::CommandPreconditions};
use cqrs_es::Aggregate;
use domain::{
    opportunity::{Opportunity, OpportunityCommand, OpportunityError, OpportunityId},
    value::AuditStamp,
};

use crate::{
    app_context::AppContext,
    graphql::{command_dispatch::request_identity, consistency_token, error},
};

/// Outcome of a mutation.
#[derive(Union)]
#[graphql(name = "OpportunityOutcome")]
pub(super) enum OpportunityChangeOutcome {
    /// The change is recorded.
    Accepted(OpportunityChangeAccepted),
    /// A business rule forbids the change.
    Rejected(OpportunityChangeRejected),
}

/// The change is recorded, now or by an earlier request; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityAccepted", complex)]
pub(super) struct OpportunityChangeAccepted {
    /// The opportunity's id.
    id: String,
    /// Number of recorded changes, this one included.
    version: u64,
}

#[ComplexObject]
impl OpportunityChangeAccepted {
    /// Value for the request extension `consistencyToken`: a query that sends it waits until its read models contain
    /// the change.
    async fn consistency_token(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
        consistency_token::load_consistency_token(ctx, Opportunity::TYPE, &self.id, self.version).await
    }
}

/// The change violates a business rule; nothing was recorded.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityRejected")]
pub(super) struct OpportunityChangeRejected {
    /// Code of the violated rule.
    rule: OpportunityRule,
    /// Human-readable explanation.
    reason: String,
}

/// Business rules of opportunities.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum OpportunityRule {
    /// The opportunity is already recorded with other notices; amend it instead.
    AlreadyDiscovered,
    /// The opportunity is not recorded; discover it first.
    NotDiscovered,
    /// The opportunity is archived.
    Archived,
}

/// Dispatches a command to an opportunity. A refusal becomes a `Rejected` outcome; other failures are GraphQL errors.
pub(super) async fn dispatch_opportunity_command(
    ctx: &Context<'_>,
    id: &OpportunityId,
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> OpportunityCommand,
) -> async_graphql::Result<OpportunityChangeOutcome> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    let sender = &request_identity(ctx)?.sender;
    let command = command(app.dispatcher.stamp(sender));
    let result = app.dispatcher.dispatch::<Opportunity>(sender, id.as_str(), conditions, command).await;
    to_opportunity_outcome(result)
}

fn to_opportunity_outcome(
    result: Result<CommandOutcome, CommandError<OpportunityError>>,
) -> async_graphql::Result<OpportunityChangeOutcome> {
    match result {
        Ok(accepted) => Ok(OpportunityChangeOutcome::Accepted(OpportunityChangeAccepted {
            id: accepted.aggregate_id,
            version: accepted.version,
        })),
        Err(CommandError::Refused(reason)) => {
            tracing::info!(reason = %reason, "command refused");
            Ok(OpportunityChangeOutcome::Rejected(OpportunityChangeRejected {
                rule: reason.into(),
                reason: reason.to_string(),
            }))
        }
        Err(error) => Err(error::command_error(&error)),
    }
}

impl From<OpportunityError> for OpportunityRule {
    fn from(error: OpportunityError) -> Self {
        match error {
            OpportunityError::AlreadyDiscovered => Self::AlreadyDiscovered,
            OpportunityError::NotDiscovered => Self::NotDiscovered,
            OpportunityError::Archived => Self::Archived,
        }
    }
}
