//! Paginated lists of opportunities, newest first; one `ClickHouse` query per page.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use projections::opportunity_analytics::{OpportunityCursor, OpportunityItem, OpportunityPage};

use super::{agency::AgencyNode, filter::OpportunityTextFilterInput};
use crate::graphql::{
    cents::CentsScalar,
    error,
    pagination::{self, PageInfo},
    read_models,
};

/// Query of lists of opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityListQuery;

#[Object]
impl OpportunityListQuery {
    /// Opportunities, newest notice first.
    async fn opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityTextFilterInput>,
    ) -> Result<OpportunityConnection> {
        let first = pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?;
        let after = pagination::parse_cursor::<OpportunityCursor>(after)?;
        let selection = filter.unwrap_or_default().into_selection()?;
        let analytics = read_models::from_context(ctx)?.analytics().await?;
        let found = analytics
            .list_opportunities(&selection, after.as_ref(), first)
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(OpportunityConnection::new(found, after.is_some()))
    }
}

/// A page of opportunities.
#[derive(SimpleObject)]
struct OpportunityConnection {
    /// The entries of the page with their cursors.
    edges: Vec<OpportunityEdge>,
    /// Position of the page in the list.
    page_info: PageInfo,
    /// Number of opportunities that match the filter, over all pages.
    total_count: u64,
}

/// An entry of a page.
#[derive(SimpleObject)]
struct OpportunityEdge {
    /// Cursor of the entry; stays valid while the list grows.
    cursor: String,
    /// The entry.
    node: OpportunitySummaryNode,
}

impl OpportunityConnection {
    fn new(found: OpportunityPage, continued: bool) -> Self {
        let total_count = found.total;
        let edges: Vec<OpportunityEdge> = found.items.into_iter().map(OpportunityEdge::from).collect();
        let page_info = PageInfo {
            has_next_page: found.has_next,
            has_previous_page: continued,
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Self { edges, page_info, total_count }
    }
}

impl From<OpportunityItem> for OpportunityEdge {
    fn from(item: OpportunityItem) -> Self {
        Self { cursor: item.cursor().to_string(), node: OpportunitySummaryNode::from(item) }
    }
}

/// Summary of an opportunity in a list. `opportunity(id)` returns all details.
#[derive(SimpleObject)]
#[graphql(name = "OpportunitySummary")]
struct OpportunitySummaryNode {
    /// Id: department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Title.
    title: String,
    /// Description from the current notice.
    description: Option<String>,
    /// Solicitation number as the agency writes it.
    solicitation_number: Option<String>,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// Type of the current notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// Department.
    agency: AgencyNode,
    /// Sub-tier: the agency below the department.
    sub_tier: Option<String>,
    /// Contracting office.
    office: Option<String>,
    /// Set-aside code.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// PSC code of the product or service.
    psc: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Response deadline.
    response_deadline: Option<DateTime<Utc>>,
    /// Whether SAM.gov lists it as active.
    active: Option<bool>,
    /// URL of its page on SAM.gov.
    link: Option<String>,
    /// Number of recorded awards.
    award_count: u64,
    /// Total value of the awards with a known amount.
    awarded: Option<CentsScalar>,
}

impl From<OpportunityItem> for OpportunitySummaryNode {
    fn from(item: OpportunityItem) -> Self {
        Self {
            id: item.id,
            version: item.version,
            title: item.title,
            description: item.description,
            solicitation_number: item.solicitation_number,
            notice_id: item.notice_id,
            notice_type: item.notice_type,
            agency: AgencyNode { code: item.agency_code, name: item.agency_name },
            sub_tier: item.sub_tier,
            office: item.office,
            set_aside: item.set_aside,
            naics: item.naics,
            psc: item.psc,
            posted_at: item.posted_at,
            response_deadline: item.response_deadline,
            active: item.active,
            link: item.link,
            award_count: item.awards,
            awarded: item.awarded_cents.map(CentsScalar),
        }
    }
}
