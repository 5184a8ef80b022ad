//! The end of an opportunity, noted by hand.

use async_graphql::{Context, Object, Result};
use commands::caller::Caller;
use domain::opportunity::CancellationReason;

use super::{
    input_validation,
    outcome::{self, OpportunityChangeOutcome},
};
use crate::{
    app_context::PgOpportunities,
    graphql::{
        error,
        precondition::{self, PreconditionsInput},
        projection::guard::OperatorOnly,
    },
};

/// Ends opportunities.
#[derive(Default)]
pub(super) struct CloseMutation;

#[Object]
impl CloseMutation {
    /// Note that the agency no longer wants it. A newer notice or an award opens it again.
    #[graphql(guard = "OperatorOnly")]
    async fn cancel_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity.")] id: String,
        #[graphql(desc = "Why, at most 2,000 characters.")] reason: Option<String>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("id", &id)?;
        let reason = input_validation::parse_optional("reason", reason, CancellationReason::try_new)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let opportunities = error::require_context_data(ctx.data::<PgOpportunities>())?;
        outcome::to_opportunity_outcome(
            opportunities
                .cancel_opportunity(error::require_context_data(ctx.data::<Caller>())?, &id, reason, &conditions)
                .await,
        )
    }

    /// Note that it is over. A newer notice or an award opens it again.
    #[graphql(guard = "OperatorOnly")]
    async fn archive_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity.")] id: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("id", &id)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let opportunities = error::require_context_data(ctx.data::<PgOpportunities>())?;
        outcome::to_opportunity_outcome(
            opportunities
                .archive_opportunity(error::require_context_data(ctx.data::<Caller>())?, &id, &conditions)
                .await,
        )
    }
}
