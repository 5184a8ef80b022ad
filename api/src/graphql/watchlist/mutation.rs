//! Mutations of the caller's watchlist.

use async_graphql::{Context, Object, Result};
use domain::watchlist::{SearchId, Watchlist, WatchlistCommand};
use uuid::Uuid;

use super::saved_search::SavedSearchInput;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_id, request_identity},
    input_validation,
    precondition::{self, PreconditionsInput},
};

/// Mutations of the caller's watchlist.
#[derive(Default)]
pub(in crate::graphql) struct WatchlistMutation;

#[Object]
impl WatchlistMutation {
    /// Saves an opportunity to your watchlist. Requires membership in a company.
    async fn save_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id.")] opportunity_id: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let opportunity_id = input_validation::parse_opportunity_id("opportunityId", &opportunity_id)?;
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::Save { opportunity_id, at }).await
    }

    /// Removes an opportunity from your watchlist.
    async fn unsave_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id.")] opportunity_id: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let opportunity_id = input_validation::parse_opportunity_id("opportunityId", &opportunity_id)?;
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::Unsave { opportunity_id, at }).await
    }

    /// Saves a search, or replaces a saved one. Requires membership in a company.
    async fn save_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id, a UUID that you choose; generated if omitted.")] id: Option<Uuid>,
        #[graphql(desc = "The search to save.")] search: SavedSearchInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let search = search.into_search()?;
        let search_id =
            SearchId::new(new_id(ctx, "search", id, &precondition::parse_preconditions(ctx, conditions.clone())?)?);
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::SaveSearch { search_id, search, at }).await
    }

    /// Removes a saved search.
    async fn remove_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The search's id.")] id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let search_id = SearchId::new(id);
        dispatch_watchlist_command(ctx, conditions, |at| WatchlistCommand::RemoveSearch { search_id, at }).await
    }
}

/// Sends a command to the caller's own watchlist, never to another user's.
async fn dispatch_watchlist_command(
    ctx: &Context<'_>,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(chrono::DateTime<chrono::Utc>) -> WatchlistCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    dispatch_command::<Watchlist>(ctx, request_identity(ctx)?.user(), &conditions, |stamp| command(stamp.at)).await
}
