//! Recommendations from Qdrant, by the company's profile and the opportunities that the user saved.

use async_graphql::{Context, Object, Result};
use domain::{company::Company, value::PUBLIC_TENANT};
use projections::opportunity_search::RecommendationPreferences;

use super::{filter::OpportunityFilterInput, search::SearchHitNode};
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error, pagination, read_models,
};

/// Maximum number of saved opportunities that are considered, most recent first: more would blur the preference.
const MAX_LIKES: usize = 30;

/// Query of recommended opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityRecommendedQuery;

#[Object]
impl OpportunityRecommendedQuery {
    /// Opportunities similar to your company's capabilities and to the opportunities you saved, most similar first.
    /// Saved ones are left out. Empty if the profile states no capabilities and nothing is saved.
    async fn recommended_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of hits, 1 to 100; 10 by default.")] first: Option<i32>,
        #[graphql(desc = "Only opportunities in an industry of your company's profile.", default)]
        in_our_industries: bool,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityFilterInput>,
    ) -> Result<Vec<SearchHitNode>> {
        let (tenant, first) =
            (reading_tenant(ctx)?, pagination::parse_page_size(first, pagination::DEFAULT_HIT_COUNT)?);
        let mut filter = filter.unwrap_or_default().into_filter()?;
        let reading = read_models::from_context(ctx)?;
        let company = reading.tenant_views().await?.get::<Company>(tenant, "").await;
        let company = company.map_err(|error| error::query_error(&error))?;
        let profile = company.as_ref().and_then(|stored| Some(stored.state.as_registered()?.profile()));
        if in_our_industries {
            let industries: Vec<_> =
                profile.iter().flat_map(|profile| &profile.naics).map(ToString::to_string).collect();
            if industries.is_empty() {
                let reason = "your company's profile lists no industry".to_owned();
                return Err(error::invalid_field("inOurIndustries", reason));
            }
            if !filter.naics.is_empty() {
                let reason = "filter by industries or use your company's, not both".to_owned();
                return Err(error::invalid_field("inOurIndustries", reason));
            }
            filter.naics = industries;
        }
        let watchlist_id = tenant.stream_id(request_identity(ctx)?.user());
        let saved = reading
            .opportunity_views()
            .await?
            .list_saved(&watchlist_id)
            .await
            .map_err(|error| error::query_error(&error))?;
        let text = profile.and_then(|profile| profile.capabilities.as_ref()).map(ToString::to_string);
        let likes = saved.into_iter().take(MAX_LIKES).map(|saved| saved.id).collect();
        let preferences = RecommendationPreferences { likes, dislikes: vec![], text };
        let hits = reading.search().await?.recommend(&preferences, &filter, PUBLIC_TENANT, first).await;
        Ok(hits.map_err(|error| error::query_error(&error))?.into_iter().map(SearchHitNode::from).collect())
    }
}
