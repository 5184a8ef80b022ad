//! Search by meaning and by words; from Qdrant.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::envelope::PUBLIC_TENANT;
use projections::opportunity_search::OpportunityHit;

use super::{agency::AgencyNode, filter::OpportunityFilterInput};
use crate::graphql::{error, input_validation, pagination, read_models};

/// Opportunities by meaning and by words.
#[derive(Default)]
pub(in crate::graphql) struct OpportunitySearchQuery;

#[Object]
impl OpportunitySearchQuery {
    /// Opportunities that mean what the query says or have its words and numbers in them, the best first. Abbreviations
    /// (DME, CPAP) and what they stand for are the same, misspelled words are understood, and words also lead to the product
    /// and industry codes that include them. A part number, a stock number or a solicitation's number is found with and
    /// without its hyphens.
    async fn search_opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is looked for, in plain words or by a number, at most 200 characters.")] query: String,
        #[graphql(desc = "How many, 1 to 100; 10 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only those that fit.")] filter: Option<OpportunityFilterInput>,
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

/// An opportunity that answers a search.
#[derive(SimpleObject)]
#[graphql(name = "SearchHit")]
pub(super) struct SearchHitNode {
    /// How good an answer it is, more being better; comparable within one answer only. Of `searchOpportunities` it tells
    /// the nearness in meaning and in words together, at most 1; of `similarOpportunities` it is 1 for the same meaning.
    score: f32,
    /// The opportunity's id.
    id: String,
    /// Its title.
    title: String,
    /// The kind of its current notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// The department.
    agency: AgencyNode,
    /// For whom it is set aside.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
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
