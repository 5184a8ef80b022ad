//! What becomes of a change that somebody asked for.

use async_graphql::{ComplexObject, Context, Enum, SimpleObject, Union};
use commands::{error::CommandError, opportunity::OpportunityCommandOutcome};
use cqrs_es::Aggregate;
use domain::opportunity::{Opportunity, OpportunityError};

use crate::graphql::{consistency_token, error};

/// What became of a change that was asked for.
#[derive(Union)]
#[graphql(name = "OpportunityOutcome")]
pub(super) enum OpportunityChangeOutcome {
    /// It is on record.
    Accepted(OpportunityChangeAccepted),
    /// A business rule forbids it.
    Rejected(OpportunityChangeRejected),
}

/// The change is on record, or was already; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityAccepted", complex)]
pub(super) struct OpportunityChangeAccepted {
    /// The opportunity.
    id: String,
    /// How many changes are on record now.
    version: u64,
}

#[ComplexObject]
impl OpportunityChangeAccepted {
    /// For the extension `consistencyToken` of a query that has to show this change: it waits for the read models.
    async fn consistency_token(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
        consistency_token::load_consistency_token(ctx, Opportunity::TYPE, &self.id, self.version).await
    }
}

/// The change breaks a business rule; nothing was recorded.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityRejected")]
pub(super) struct OpportunityChangeRejected {
    /// The rule, for programs.
    rule: OpportunityRule,
    /// The rule, for people.
    reason: String,
}

/// A rule about what can happen to an opportunity.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum OpportunityRule {
    /// It is on record with other notices; amend it instead.
    AlreadyDiscovered,
    /// It is not on record; discover it first.
    NotDiscovered,
    /// It is over.
    Archived,
}

/// Refusals are answers; only what is nobody's decision is an error.
pub(super) fn to_opportunity_outcome(
    decided: Result<OpportunityCommandOutcome, CommandError<OpportunityError>>,
) -> async_graphql::Result<OpportunityChangeOutcome> {
    match decided {
        Ok(accepted) => Ok(OpportunityChangeOutcome::Accepted(OpportunityChangeAccepted {
            id: accepted.id.to_string(),
            version: accepted.version,
        })),
        Err(CommandError::Refused(reason)) => {
            tracing::info!(reason = %reason, "command refused");
            Ok(OpportunityChangeOutcome::Rejected(OpportunityChangeRejected {
                rule: reason.into(),
                reason: reason.to_string(),
            }))
        }
        Err(undecided) => Err(error::command_error(&undecided)),
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
