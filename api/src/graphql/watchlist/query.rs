//! Queries of the caller's watchlist: opportunities from Redis; the few searches from the event store.

use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use cqrs_es::EventStore;
use domain::watchlist as record;

use super::saved_search::SavedSearchNode;
use crate::{
    app_context::AppContext,
    graphql::{
        command_dispatch::{reading_tenant, request_identity},
        error,
        opportunity::OpportunityNode,
        pagination, read_models,
    },
};

/// Queries of the caller's watchlist.
#[derive(Default)]
pub(in crate::graphql) struct WatchlistQuery;

#[Object]
impl WatchlistQuery {
    /// The opportunities you saved, most recently saved first.
    async fn saved_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number, 1 to 100; 20 by default.")] first: Option<i32>,
    ) -> Result<Vec<SavedOpportunityNode>> {
        let first =
            usize::try_from(pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?).unwrap_or(usize::MAX);
        let watchlist_id = reading_tenant(ctx)?.stream_id(request_identity(ctx)?.user());
        let saved = read_models::from_context(ctx)?
            .opportunity_views()
            .await?
            .list_saved(&watchlist_id)
            .await
            .map_err(|error| error::query_error(&error))?;
        let page = saved.into_iter().take(first);
        Ok(page.map(|saved| SavedOpportunityNode { opportunity_id: saved.id, saved_at: saved.saved_at }).collect())
    }

    /// The searches you saved.
    async fn saved_searches(&self, ctx: &Context<'_>) -> Result<Vec<SavedSearchNode>> {
        let watchlist_id = reading_tenant(ctx)?.stream_id(request_identity(ctx)?.user());
        let store = error::require_context_data(ctx.data::<AppContext>())?.event_store.store_for::<record::Watchlist>();
        let watchlist =
            store.load_aggregate(&watchlist_id).await.map_err(|error| error::unavailable(&error))?.aggregate;
        Ok(watchlist.saved_searches().map(|(id, search)| SavedSearchNode::from_saved_search(id, search)).collect())
    }
}

/// A saved opportunity.
#[derive(SimpleObject)]
#[graphql(name = "SavedOpportunity", complex)]
struct SavedOpportunityNode {
    /// The opportunity's id.
    opportunity_id: String,
    /// When it was saved.
    saved_at: DateTime<Utc>,
}

#[ComplexObject]
impl SavedOpportunityNode {
    /// The opportunity; null if it is not recorded.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<OpportunityNode>> {
        let loader = read_models::from_context(ctx)?.opportunity_loader().await?;
        loader.load_one(self.opportunity_id.clone()).await.map_err(|error| error::loader_error(&error))
    }
}
