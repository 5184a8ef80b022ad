//! One opportunity with all its details: current from Redis (one read), past from the log.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity as record;
use projections::opportunity_views::{self, OpportunityView, OpportunityViewStatus};

use super::{agency::AgencyNode, history::OpportunityMoment, input_validation};
use crate::{
    app_context::AppContext,
    graphql::{cents::CentsScalar, error, read_models},
};

/// Query of one opportunity.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityDetailQuery;

#[Object]
impl OpportunityDetailQuery {
    /// One opportunity with all its details; null if it is not recorded.
    async fn opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity's id, e.g. `097:SPE4A726RX326`.")] id: String,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<OpportunityMoment>,
    ) -> Result<Option<OpportunityNode>> {
        let id = input_validation::parse_opportunity_id("id", &id)?;
        let view = match as_of {
            None => read_models::from_context(ctx)?.opportunity_views().await?.get(&id).await,
            Some(moment) => {
                let log = error::require_context_data(ctx.data::<AppContext>())?.runtime.log();
                opportunity_views::opportunity_at(log, &id, moment.into()).await
            }
        };
        Ok(view.map_err(|error| error::query_error(&error))?.map(OpportunityNode::from))
    }
}

/// A federal solicitation with all recorded details.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Opportunity")]
pub(in crate::graphql) struct OpportunityNode {
    /// Id: department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Status.
    status: OpportunityStatusEnum,
    /// Number of notices published about it.
    notice_count: u64,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// When the first notice was published.
    first_posted_at: DateTime<Utc>,
    /// Details from the current notice.
    #[graphql(name = "facts")]
    details: NoticeDetailsNode,
    /// Recorded awards.
    awards: Vec<AwardNode>,
    /// Total value of the awards with a known amount.
    awarded: Option<CentsScalar>,
}

/// Status of an opportunity.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OpportunityStatus")]
enum OpportunityStatusEnum {
    /// Published, without an award.
    Open,
    /// With at least one award.
    Awarded,
    /// Cancelled by the agency.
    Cancelled,
    /// Archived.
    Archived,
}

/// Details of a solicitation as its notice states them; null if not stated.
#[derive(Clone, SimpleObject)]
#[graphql(name = "OpportunityFacts")]
struct NoticeDetailsNode {
    /// Title.
    title: String,
    /// Notice type.
    #[graphql(name = "type")]
    notice_type: String,
    /// Type of the solicitation's first notice.
    base_type: Option<String>,
    /// Department.
    agency: AgencyNode,
    /// Sub-tier: the agency below the department.
    sub_tier: Option<String>,
    /// Contracting office.
    office: Option<String>,
    /// Solicitation number as the agency writes it.
    solicitation_number: Option<String>,
    /// Set-aside code.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// PSC code of the product or service.
    psc: Option<String>,
    /// Response deadline.
    response_deadline: Option<DateTime<Utc>>,
    /// When SAM.gov archives it.
    archive_on: Option<NaiveDate>,
    /// Whether SAM.gov lists it as active.
    active: Option<bool>,
    /// Place of performance.
    place: Option<PlaceNode>,
    /// Description.
    description: Option<String>,
    /// URL of its page on SAM.gov.
    link: Option<String>,
    /// URLs of its files and of further information, in the order of the notice; empty if it has none, null if that is
    /// not known.
    resource_links: Option<Vec<String>>,
}

/// A place of performance.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Place")]
struct PlaceNode {
    /// City.
    city: Option<String>,
    /// State or province.
    state: Option<String>,
    /// Postal code.
    zip: Option<String>,
    /// Country code.
    country: Option<String>,
}

/// An awarded contract.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Award")]
struct AwardNode {
    /// Contract number.
    number: Option<String>,
    /// Day of the award.
    date: Option<NaiveDate>,
    /// Contract value.
    amount: Option<CentsScalar>,
    /// Name of the company that won the contract.
    awardee: Option<String>,
}

impl From<OpportunityView> for OpportunityNode {
    fn from(view: OpportunityView) -> Self {
        Self {
            id: view.id,
            version: view.version,
            status: match view.status {
                OpportunityViewStatus::Open => OpportunityStatusEnum::Open,
                OpportunityViewStatus::Awarded => OpportunityStatusEnum::Awarded,
                OpportunityViewStatus::Cancelled => OpportunityStatusEnum::Cancelled,
                OpportunityViewStatus::Archived => OpportunityStatusEnum::Archived,
            },
            notice_count: view.notice_count,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            first_posted_at: view.first_posted_at,
            details: view.details.into(),
            awards: view.awards.into_values().map(AwardNode::from).collect(),
            awarded: view.awarded_cents.map(CentsScalar),
        }
    }
}

impl From<record::NoticeDetails> for NoticeDetailsNode {
    fn from(details: record::NoticeDetails) -> Self {
        Self {
            title: details.title,
            notice_type: details.notice_type.to_string(),
            base_type: details.base_type.map(|kind| kind.to_string()),
            agency: AgencyNode { code: details.agency.code, name: details.agency.name },
            sub_tier: details.sub_tier,
            office: details.office,
            solicitation_number: details.solicitation_number,
            set_aside: details.set_aside.map(|code| code.to_string()),
            naics: details.naics.map(|code| code.to_string()),
            psc: details.psc,
            response_deadline: details.response_deadline,
            archive_on: details.archive_on,
            active: details.active,
            place: details.place.map(PlaceNode::from),
            description: details.description,
            link: details.link,
            resource_links: details
                .resource_links
                .map(|links| links.iter().map(|link| link.as_str().to_owned()).collect()),
        }
    }
}

impl From<record::PlaceOfPerformance> for PlaceNode {
    fn from(place: record::PlaceOfPerformance) -> Self {
        Self { city: place.city, state: place.state, zip: place.zip, country: place.country }
    }
}

impl From<record::Award> for AwardNode {
    fn from(award: record::Award) -> Self {
        Self {
            number: award.number,
            date: award.date,
            amount: award.amount.map(|amount| CentsScalar(amount.0)),
            awardee: award.awardee,
        }
    }
}
