//! The end of an opportunity, noted by hand.

use async_graphql::{Context, Object, Result};
use commands::caller::Caller;
use domain::opportunity::CancellationReason;

use super::{
    input,
    outcome::{self, OpportunityOutcome},
};
use crate::{
    graphql::{
        condition::{self, ChangeConditions},
        error,
        operations::guard::OperatorOnly,
    },
    store::PgOpportunities,
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
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<OpportunityOutcome> {
        let id = input::id("id", &id)?;
        let reason = input::optional("reason", reason, CancellationReason::try_new)?;
        let conditions = condition::of(ctx, conditions)?;
        let opportunities = error::wired(ctx.data::<PgOpportunities>())?;
        outcome::of(opportunities.cancel(error::wired(ctx.data::<Caller>())?, &id, reason, &conditions).await)
    }

    /// Note that it is over. A newer notice or an award opens it again.
    #[graphql(guard = "OperatorOnly")]
    async fn archive_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity.")] id: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<OpportunityOutcome> {
        let id = input::id("id", &id)?;
        let conditions = condition::of(ctx, conditions)?;
        let opportunities = error::wired(ctx.data::<PgOpportunities>())?;
        outcome::of(opportunities.archive(error::wired(ctx.data::<Caller>())?, &id, &conditions).await)
    }
}
