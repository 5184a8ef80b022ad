//! Opportunities similar to a given one, from Qdrant.

use async_graphql::{Context, Object, Result};
use domain::value::PUBLIC_TENANT;

use super::{filter::OpportunityFilterInput, input_validation, search::SearchHitNode};
use crate::graphql::{error, pagination, read_models};

/// Query of similar opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunitySimilarQuery;

#[Object]
impl OpportunitySimilarQuery {
    /// Opportunities similar in meaning to the given one, most similar first, without that one; null if it is not
    /// recorded.
    async fn similar_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the opportunity to compare with, e.g. `097:SPE4A726RX326`.")] id: String,
        #[graphql(desc = "Maximum number of hits, 1 to 100; 10 by default.")] first: Option<i32>,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityFilterInput>,
    ) -> Result<Option<Vec<SearchHitNode>>> {
        let first = pagination::parse_page_size(first, pagination::DEFAULT_HIT_COUNT)?;
        let id = input_validation::parse_opportunity_id("id", &id)?.to_string();
        let filter = filter.unwrap_or_default().into_filter()?;
        let search = read_models::from_context(ctx)?.search().await?;
        let hits = search
            .find_similar(&id, &filter, PUBLIC_TENANT, first)
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(hits.map(|hits| hits.into_iter().map(SearchHitNode::from).collect()))
    }
}
