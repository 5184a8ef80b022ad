//! Search of opportunities by meaning and by words, in Qdrant.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::value::PUBLIC_TENANT;
use projections::opportunity_search::OpportunityHit;

use super::{agency::AgencyNode, filter::OpportunityFilterInput};
use crate::graphql::{error, input_validation, pagination, read_models};

/// Query that searches opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunitySearchQuery;

#[Object]
impl OpportunitySearchQuery {
    /// Searches opportunities by meaning and by words and numbers, best match first. Abbreviations (DME, CPAP) match
    /// their long forms, misspelled words match as well, and words also match the product and industry codes that cover
    /// them. Part numbers, stock numbers and solicitation numbers match with or without hyphens.
    async fn search_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Search text, in plain words or a number, at most 200 characters.")] query: String,
        #[graphql(desc = "Maximum number of hits, 1 to 100; 10 by default.")] first: Option<i32>,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityFilterInput>,
    ) -> Result<Vec<SearchHitNode>> {
        let first = pagination::parse_page_size(first, pagination::DEFAULT_HIT_COUNT)?;
        let query = input_validation::parse_search_text("query", &query)?;
        let filter = filter.unwrap_or_default().into_filter()?;
        let search = read_models::from_context(ctx)?.search().await?;
        let hits = search
            .search_opportunities(&query, &filter, PUBLIC_TENANT, first)
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(hits.into_iter().map(SearchHitNode::from).collect())
    }
}

/// An opportunity found by a search.
#[derive(SimpleObject)]
#[graphql(name = "SearchHit")]
pub(super) struct SearchHitNode {
    /// Score of the match, higher is better; comparable within one response only. For `searchOpportunities` it combines
    /// similarity in meaning and in words, at most 1; for `similarOpportunities` it is 1 for the same meaning.
    score: f32,
    /// The opportunity's id.
    id: String,
    /// Title.
    title: String,
    /// Type of the current notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// Department.
    agency: AgencyNode,
    /// Set-aside code.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Response deadline.
    response_deadline: Option<DateTime<Utc>>,
    /// Whether a contract was awarded.
    awarded: bool,
}

impl From<OpportunityHit> for SearchHitNode {
    fn from(hit: OpportunityHit) -> Self {
        Self {
            score: hit.score,
            id: hit.id,
            title: hit.title,
            notice_type: hit.notice_type,
            agency: AgencyNode { code: hit.agency_code, name: hit.agency_name },
            set_aside: hit.set_aside,
            naics: hit.naics,
            posted_at: hit.posted_at,
            response_deadline: hit.response_deadline,
            awarded: hit.awarded,
        }
    }
}
