//! What becomes of a change that somebody asked for.

use async_graphql::{ComplexObject, Context, Enum, SimpleObject, Union};
use commands::{error::CommandError, opportunity::Accepted};
use cqrs_es::Aggregate;
use domain::opportunity::{Opportunity, OpportunityError};

use crate::graphql::{consistency, error};

/// What became of a change that was asked for.
#[derive(Union)]
pub(super) enum OpportunityOutcome {
    /// It is on record.
    Accepted(OpportunityAccepted),
    /// A business rule forbids it.
    Rejected(OpportunityRejected),
}

/// The change is on record, or was already; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct OpportunityAccepted {
    /// The opportunity.
    id: String,
    /// How many changes are on record now.
    version: u64,
}

#[ComplexObject]
impl OpportunityAccepted {
    /// For the extension `consistencyToken` of a query that has to show this change: it waits for the read models.
    async fn consistency_token(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
        consistency::token_of(ctx, Opportunity::TYPE, &self.id, self.version).await
    }
}

/// The change breaks a business rule; nothing was recorded.
#[derive(SimpleObject)]
pub(super) struct OpportunityRejected {
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
pub(super) fn of(
    decided: Result<Accepted, CommandError<OpportunityError>>,
) -> async_graphql::Result<OpportunityOutcome> {
    match decided {
        Ok(accepted) => Ok(OpportunityOutcome::Accepted(OpportunityAccepted {
            id: accepted.id.to_string(),
            version: accepted.version,
        })),
        Err(CommandError::Rejected(reason)) => {
            tracing::info!(reason = %reason, "command refused");
            Ok(OpportunityOutcome::Rejected(OpportunityRejected { rule: reason.into(), reason: reason.to_string() }))
        }
        Err(undecided) => Err(error::undecided(&undecided)),
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
