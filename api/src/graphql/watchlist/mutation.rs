//! Saving opportunities and searches.

use async_graphql::{Context, Object, Result};
use domain::watchlist::{SearchId, Watchlist, WatchlistCommand};
use uuid::Uuid;

use super::saved_search::SavedSearchInput;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_id, request_identity},
    input_validation,
    precondition::{self, PreconditionsInput},
};

/// Changes one's own watchlist.
#[derive(Default)]
pub(in crate::graphql) struct WatchlistMutation;

#[Object]
impl WatchlistMutation {
    /// Keep an opportunity in view; members may.
    async fn save_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] opportunity_id: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let opportunity_id = input_validation::parse_opportunity_id("opportunityId", &opportunity_id)?;
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::Save { opportunity_id, at }).await
    }

    /// Let go of an opportunity.
    async fn unsave_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] opportunity_id: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let opportunity_id = input_validation::parse_opportunity_id("opportunityId", &opportunity_id)?;
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::Unsave { opportunity_id, at }).await
    }

    /// Keep a search, or let a kept one search for something else; members may.
    async fn save_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, a UUID of yours; one is made where none is given.")] id: Option<Uuid>,
        #[graphql(desc = "The search.")] search: SavedSearchInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let search = search.into_search()?;
        let search_id =
            SearchId::new(new_id(ctx, "search", id, &precondition::parse_preconditions(ctx, conditions.clone())?)?);
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::SaveSearch { search_id, search, at }).await
    }

    /// Let go of a search.
    async fn remove_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let search_id = SearchId::new(id);
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::RemoveSearch { search_id, at }).await
    }
}

/// Changes the caller's own watchlist, and no other.
async fn dispatch_watchlist_command(
    ctx: &Context<'_>,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(chrono::DateTime<chrono::Utc>) -> WatchlistCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    dispatch_command::<Watchlist>(ctx, request_identity(ctx)?.user(), &conditions, |stamp| command(stamp.at)).await
}
