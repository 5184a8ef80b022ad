//! Saving opportunities and searches.

use async_graphql::{Context, Object, Result};
use domain::watchlist::{SearchId, Watchlist, WatchlistCommand};
use uuid::Uuid;

use super::search::SavedSearchInput;
use crate::graphql::{
    condition::{self, ChangeConditions},
    input,
    outcome::{Outcome, give, identity, new_id},
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
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let opportunity_id = input::id("opportunityId", &opportunity_id)?;
        change(ctx, conditions, |at| WatchlistCommand::Save { opportunity_id, at }).await
    }

    /// Let go of an opportunity.
    async fn unsave_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] opportunity_id: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let opportunity_id = input::id("opportunityId", &opportunity_id)?;
        change(ctx, conditions, |at| WatchlistCommand::Unsave { opportunity_id, at }).await
    }

    /// Keep a search, or let a kept one search for something else; members may.
    async fn save_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, a UUID of yours; one is made where none is given.")] id: Option<Uuid>,
        #[graphql(desc = "The search.")] search: SavedSearchInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let search = search.into_search()?;
        let search_id = SearchId::new(new_id(ctx, "search", id, &condition::of(ctx, conditions.clone())?)?);
        change(ctx, conditions, |at| WatchlistCommand::SaveSearch { search_id, search, at }).await
    }

    /// Let go of a search.
    async fn remove_search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let search_id = SearchId::new(id);
        change(ctx, conditions, |at| WatchlistCommand::RemoveSearch { search_id, at }).await
    }
}

/// Changes the caller's own watchlist, and no other.
async fn change(
    ctx: &Context<'_>,
    conditions: Option<ChangeConditions>,
    command: impl FnOnce(chrono::DateTime<chrono::Utc>) -> WatchlistCommand + Send,
) -> Result<Outcome> {
    let conditions = condition::of(ctx, conditions)?;
    give::<Watchlist>(ctx, identity(ctx)?.user(), &conditions, |stamp| command(stamp.at)).await
}
