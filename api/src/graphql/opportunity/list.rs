//! Paginated lists of opportunities in several orders, with counts by dimensions.

use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use projections::{
    opportunity_analytics::OpportunitySelection,
    opportunity_lists::{OpportunityItem, OpportunityListCursor, OpportunityPage, TotalCount},
};

use super::{
    agency::AgencyNode,
    facets::{self, FacetDimensionInput, FacetNode},
    filter::OpportunityTextFilterInput,
    order::parse_order,
};
use crate::{
    graphql::{
        cents::CentsScalar,
        error::{self, invalid_field},
        pagination::{self, PageInfo},
        read_models,
    },
    opportunity_lists::{ListPageQuery, OpportunityListError, OpportunityOrderInput},
};

/// Query of lists of opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityListQuery;

#[Object]
impl OpportunityListQuery {
    /// Opportunities, newest notice first unless another order is requested.
    async fn opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor, in the order in which it was returned.")]
        after: Option<String>,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityTextFilterInput>,
        #[graphql(desc = "Order of the list; `POSTED_NEWEST` by default.")] order_by: Option<OpportunityOrderInput>,
    ) -> Result<OpportunityConnection> {
        let first = pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?;
        let after = pagination::parse_cursor::<OpportunityListCursor>(after)?;
        let selection = filter.unwrap_or_default().into_selection()?;
        let order = parse_order(order_by, &selection)?;
        let continued = after.is_some();
        let query = ListPageQuery::try_new(selection.clone(), order, after, first)
            .map_err(|mismatch| invalid_field("after", mismatch.to_string()))?;
        let lists = read_models::from_context(ctx)?.opportunity_lists().await?;
        let found =
            lists.fetch_page(query_selected_fields(query, ctx)).await.map_err(|error| error::list_error(&error))?;
        Ok(OpportunityConnection::new(&found, continued, selection))
    }
}

/// The query with what the selected fields need, wherever in fragments they are.
fn query_selected_fields(query: ListPageQuery, ctx: &Context<'_>) -> ListPageQuery {
    let selected = ctx.look_ahead();
    let needs_total = ["totalCount", "totalCountIsExact"].iter().any(|field| selected.field(field).exists());
    let needs_descriptions = selected.field("edges").field("node").field("description").exists();
    let query = if needs_total { query.with_total() } else { query };
    if needs_descriptions { query.with_descriptions() } else { query }
}

/// A page of opportunities.
#[derive(SimpleObject)]
#[graphql(complex)]
struct OpportunityConnection {
    /// The entries of the page with their cursors.
    edges: Vec<OpportunityEdge>,
    /// Position of the page in the list.
    page_info: PageInfo,
    /// Read only if a field needs it.
    #[graphql(skip)]
    total: Option<TotalCount>,
    /// What the list selects.
    #[graphql(skip)]
    selection: OpportunitySelection,
}

#[ComplexObject]
#[expect(clippy::unused_async, reason = "GraphQL resolvers have to be async functions")]
impl OpportunityConnection {
    /// Number of opportunities that match the filter, over all pages; a lower bound if `totalCountIsExact` is false.
    async fn total_count(&self) -> Result<u64> {
        Ok(self.require_total()?.count)
    }

    /// Whether `totalCount` is exact. It always is without words, without a restriction of the deadline, with `postedFrom`
    /// and `postedTo` at the bounds of UTC days, and with at most two restrictions, or one if it is a NAICS code of more
    /// than two digits. Otherwise it is exact up to 1,000.
    async fn total_count_is_exact(&self) -> Result<bool> {
        Ok(self.require_total()?.exact)
    }

    /// The whole list counted by dimensions, in their order. A restriction of the filter applies to the counts of its own
    /// dimension, too.
    async fn facets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to count by.")] dimensions: Vec<FacetDimensionInput>,
        #[graphql(desc = "Maximum number of values of each dimension, 1 to 100; 20 by default.")] limit: Option<i32>,
    ) -> Result<Vec<FacetNode>> {
        facets::load_facets(ctx, &self.selection, dimensions, limit).await
    }
}

impl OpportunityConnection {
    fn new(found: &OpportunityPage, continued: bool, selection: OpportunitySelection) -> Self {
        let edges: Vec<OpportunityEdge> = found.items.iter().cloned().map(OpportunityEdge::from).collect();
        let page_info = PageInfo {
            has_next_page: found.has_next,
            has_previous_page: continued,
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Self { edges, page_info, total: found.total, selection }
    }

    fn require_total(&self) -> Result<TotalCount> {
        self.total.ok_or_else(|| error::list_error(&OpportunityListError::TotalNotRead))
    }
}

/// An entry of a page.
#[derive(SimpleObject)]
struct OpportunityEdge {
    /// Cursor of the entry; stays valid while the list grows.
    cursor: String,
    /// The entry.
    node: OpportunitySummaryNode,
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

impl From<OpportunityItem> for OpportunityEdge {
    fn from(item: OpportunityItem) -> Self {
        let OpportunityItem { cursor, entry, awards, awarded_cents } = item;
        let node = OpportunitySummaryNode {
            id: entry.id,
            version: entry.sequence.cast_unsigned(),
            title: entry.title,
            description: entry.description,
            solicitation_number: entry.solicitation_number,
            notice_id: entry.notice_id,
            notice_type: entry.notice_type,
            agency: AgencyNode { code: entry.agency_code, name: entry.agency_name },
            sub_tier: entry.sub_tier,
            office: entry.office,
            set_aside: entry.set_aside,
            naics: entry.naics,
            psc: entry.psc,
            posted_at: entry.posted_at,
            response_deadline: entry.response_deadline,
            active: entry.active,
            link: entry.link,
            award_count: awards,
            awarded: awarded_cents.map(CentsScalar),
        };
        Self { cursor: cursor.to_string(), node }
    }
}
