//! Lists of opportunities, newest first, a page at a time; from `ClickHouse`, one query a page.

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

/// Opportunities as lists.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityListQuery;

#[Object]
impl OpportunityListQuery {
    /// Opportunities, the newest notice first.
    async fn opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that fit.")] filter: Option<OpportunityTextFilterInput>,
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

/// One page of opportunities.
#[derive(SimpleObject)]
struct OpportunityConnection {
    /// The entries of this page with their cursors.
    edges: Vec<OpportunityEdge>,
    /// Where this page lies in the whole list.
    page_info: PageInfo,
    /// How many opportunities fit the filter, on all pages together.
    total_count: u64,
}

/// One entry of a page.
#[derive(SimpleObject)]
struct OpportunityEdge {
    /// Where this entry stands; stays valid while the list grows.
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

/// What a list shows of an opportunity. Everything on record is in `opportunity(id)`.
#[derive(SimpleObject)]
#[graphql(name = "OpportunitySummary")]
struct OpportunitySummaryNode {
    /// Its id: department code and solicitation number.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// Its title.
    title: String,
    /// The text of the current notice.
    description: Option<String>,
    /// The agency's own number, as written.
    solicitation_number: Option<String>,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// The kind of the current notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// The department.
    agency: AgencyNode,
    /// The agency below the department.
    sub_tier: Option<String>,
    /// The contracting office.
    office: Option<String>,
    /// For whom it is set aside.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// The product or service, by its PSC code.
    psc: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// Whether SAM.gov lists it as active.
    active: Option<bool>,
    /// Its page on SAM.gov.
    link: Option<String>,
    /// How many awards are on record.
    award_count: u64,
    /// What the awards are worth together, where amounts are known.
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
