//! Reading what one saved: opportunities from Redis, searches from the log, of which there are few.

use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject, dataloader::DataLoader};
use chrono::{DateTime, Utc};
use cqrs_es::EventStore;
use domain::watchlist as record;

use super::search::SavedSearch;
use crate::{
    graphql::{
        error,
        loader::OpportunityLoader,
        opportunity::Opportunity,
        outcome::{identity, reader},
        page, reading,
    },
    store::Stores,
};

/// What one saved.
#[derive(Default)]
pub(in crate::graphql) struct WatchlistQuery;

#[Object]
impl WatchlistQuery {
    /// The opportunities that you saved, the last saved first.
    async fn saved_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
    ) -> Result<Vec<SavedOpportunity>> {
        let first = usize::try_from(page::size(first, page::DEFAULT)?).unwrap_or(usize::MAX);
        let own = reader(ctx)?.stream(identity(ctx)?.user());
        let saved = reading::of(ctx)?.views().await?.saved(&own).await.map_err(|error| error::query(&error))?;
        let shown = saved.into_iter().take(first);
        Ok(shown.map(|saved| SavedOpportunity { opportunity_id: saved.id, saved_at: saved.saved_at }).collect())
    }

    /// The searches that you saved.
    async fn saved_searches(&self, ctx: &Context<'_>) -> Result<Vec<SavedSearch>> {
        let own = reader(ctx)?.stream(identity(ctx)?.user());
        let store = error::wired(ctx.data::<Stores>())?.store.of::<record::Watchlist>();
        let watchlist = store.load_aggregate(&own).await.map_err(|error| error::unavailable(&error))?.aggregate;
        Ok(watchlist.searches().map(|(id, search)| SavedSearch::of(id, search)).collect())
    }
}

/// An opportunity that a user keeps.
#[derive(SimpleObject)]
#[graphql(complex)]
struct SavedOpportunity {
    /// Which one.
    opportunity_id: String,
    /// Since when.
    saved_at: DateTime<Utc>,
}

#[ComplexObject]
impl SavedOpportunity {
    /// The opportunity; null where nothing is on record about it.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
        // Waits until the views have come as far as the document wants, once for all.
        reading::of(ctx)?.views().await?;
        let loader = error::wired(ctx.data::<DataLoader<OpportunityLoader>>())?;
        loader.load_one(self.opportunity_id.clone()).await.map_err(|error| error::loaded(&error))
    }
}
