//! Manual cancellation and archiving of an opportunity.

use async_graphql::{Context, Object, Result};
use domain::opportunity::{CancellationReason, OpportunityCommand};

use super::{
    input_validation,
    outcome::{OpportunityChangeOutcome, dispatch_opportunity_command},
};
use crate::graphql::{
    precondition::{self, PreconditionsInput},
    projection::guard::OperatorOnly,
};

/// Cancels and archives opportunities.
#[derive(Default)]
pub(super) struct CloseMutation;

#[Object]
impl CloseMutation {
    /// Records that the agency cancelled the opportunity. A newer notice or an award reopens it. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn cancel_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id.")] id: String,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: Option<String>,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("id", &id)?;
        let reason = input_validation::parse_optional("reason", reason, CancellationReason::try_new)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_opportunity_command(ctx, &id, &conditions, |stamp| OpportunityCommand::Cancel { reason, stamp }).await
    }

    /// Archives the opportunity. A newer notice or an award reopens it. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn archive_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id.")] id: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("id", &id)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_opportunity_command(ctx, &id, &conditions, |stamp| OpportunityCommand::Archive { stamp }).await
    }
}
