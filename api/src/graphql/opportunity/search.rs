//! Search of opportunities by meaning and by words, in Qdrant.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    feature_flag::{AssignmentReason, KnownExperiment},
    value::PUBLIC_TENANT,
};
use projections::opportunity_search::{OpportunityHit, SearchRanking};

use super::{agency::AgencyNode, filter::OpportunityFilterInput};
use crate::{
    app_context::AppContext,
    graphql::{command_dispatch::request_identity, error, input_validation, pagination, read_models},
};

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
        let ranking = assigned_ranking(ctx)?;
        let search = read_models::from_context(ctx)?.search().await?.with_ranking(ranking);
        let hits = search
            .search_opportunities(&query, &filter, PUBLIC_TENANT, first)
            .await
            .map_err(|error| error::query_error(&error))?;
        let to_node = |hit| SearchHitNode { ranking: Some(ranking.name()), ..SearchHitNode::from(hit) };
        Ok(hits.into_iter().map(to_node).collect())
    }
}

/// The ranking that the caller's company is assigned. Callers without a company are no unit of an experiment: they have the
/// control, unless an override for the public tenant or a pin names another ranking. A variant that this program does not know is the default ranking,
/// and named as such in the answer.
fn assigned_ranking(ctx: &Context<'_>) -> Result<SearchRanking> {
    let flags = &error::require_context_data(ctx.data::<AppContext>())?.flags;
    let tenant = request_identity(ctx)?.tenant();
    let assignment = flags.assignment(KnownExperiment::SearchRanking.name(), tenant);
    if assignment.reason == AssignmentReason::Weights && tenant.as_str() == PUBLIC_TENANT {
        return Ok(SearchRanking::Control);
    }
    Ok(SearchRanking::from_name(assignment.variant.as_str()).unwrap_or_default())
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
    /// Name of the ranking that `searchOpportunities` has used for your company: `control`, `words`, `meaning` or `recent`.
    /// Null for other fields. To compare rankings, links to a hit should have it as the URL parameter `ranking`.
    ranking: Option<&'static str>,
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
            ranking: None,
        }
    }
}
