//! What may suit a company; from Qdrant, by its profile and what one saved.

use async_graphql::{Context, Object, Result};
use domain::{company::Company, envelope::PUBLIC_TENANT};
use projections::opportunity_search::RecommendationPreferences;

use super::{filter::OpportunityFilterInput, search::SearchHitNode};
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error, pagination, read_models,
};

/// Saved opportunities that are looked at, the last saved first: more would blur what one is after.
const MAX_LIKES: usize = 30;

/// Opportunities that may suit.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityRecommendedQuery;

#[Object]
impl OpportunityRecommendedQuery {
    /// Opportunities near to what your company says it can do and to those that you saved, which are left out; the
    /// nearest first. None where neither is said.
    async fn recommended_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 10 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only those in an industry of your company's profile.", default)] in_our_industries: bool,
        #[graphql(desc = "Only those that fit.")] filter: Option<OpportunityFilterInput>,
    ) -> Result<Vec<SearchHitNode>> {
        let (tenant, first) =
            (reading_tenant(ctx)?, pagination::parse_page_size(first, pagination::DEFAULT_HIT_COUNT)?);
        let mut filter = filter.unwrap_or_default().into_filter()?;
        let reading = read_models::from_context(ctx)?;
        let company = reading.tenant_views().await?.get::<Company>(tenant, "").await;
        let company = company.map_err(|error| error::query_error(&error))?;
        let profile = company.as_ref().and_then(|kept| Some(kept.state.as_registered()?.profile()));
        if in_our_industries {
            let ours: Vec<_> = profile.iter().flat_map(|profile| &profile.naics).map(ToString::to_string).collect();
            if ours.is_empty() {
                let reason = "your company's profile names no industry".to_owned();
                return Err(error::invalid_field("inOurIndustries", reason));
            }
            if !filter.naics.is_empty() {
                let reason = "name industries in the filter or take those of your company, not both".to_owned();
                return Err(error::invalid_field("inOurIndustries", reason));
            }
            filter.naics = ours;
        }
        let own = tenant.stream_id(request_identity(ctx)?.user());
        let saved =
            reading.opportunity_views().await?.list_saved(&own).await.map_err(|error| error::query_error(&error))?;
        let text = profile.and_then(|profile| profile.capabilities.as_ref()).map(ToString::to_string);
        let likes = saved.into_iter().take(MAX_LIKES).map(|saved| saved.id).collect();
        let taste = RecommendationPreferences { likes, dislikes: vec![], text };
        let hits = reading.search().await?.recommend(&taste, &filter, PUBLIC_TENANT, first).await;
        Ok(hits.map_err(|error| error::query_error(&error))?.into_iter().map(SearchHitNode::from).collect())
    }
}
