//! Everything on record about one opportunity; from Redis, one read.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity as record;
use projections::opportunity_views::{self, OpportunityView, OpportunityViewStatus};

use super::{agency::AgencyNode, history::OpportunityMoment, input_validation};
use crate::{
    app_context::AppContext,
    graphql::{cents::CentsScalar, error, read_models},
};

/// One opportunity.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityDetailQuery;

#[Object]
impl OpportunityDetailQuery {
    /// Everything on record about one opportunity; null where nothing is.
    async fn opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, e.g. `097:SPE4A726RX326`.")] id: String,
        #[graphql(desc = "As it was then; by default as it is.")] as_of: Option<OpportunityMoment>,
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

/// A federal solicitation with everything on record about it.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Opportunity")]
pub(in crate::graphql) struct OpportunityNode {
    /// Its id: department code and solicitation number.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// How far it has come.
    status: OpportunityStatusEnum,
    /// How many notices were published about it.
    notice_count: u64,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// When the first notice was published.
    first_posted_at: DateTime<Utc>,
    /// What the current notice states.
    facts: OpportunityFactsNode,
    /// The awards on record.
    awards: Vec<AwardNode>,
    /// What the awards are worth together, where amounts are known.
    awarded: Option<CentsScalar>,
}

/// How far an opportunity has come.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OpportunityStatus")]
enum OpportunityStatusEnum {
    /// Published, nobody has won it.
    Open,
    /// At least one contract was awarded.
    Awarded,
    /// The agency no longer wants it.
    Cancelled,
    /// It is over.
    Archived,
}

/// What a notice states about a solicitation; null where it does not say.
#[derive(Clone, SimpleObject)]
#[graphql(name = "OpportunityFacts")]
struct OpportunityFactsNode {
    /// Its title.
    title: String,
    /// The kind of notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// The kind of the solicitation's first notice.
    base_type: Option<String>,
    /// The department.
    agency: AgencyNode,
    /// The agency below the department.
    sub_tier: Option<String>,
    /// The contracting office.
    office: Option<String>,
    /// The agency's own number, as written.
    solicitation_number: Option<String>,
    /// For whom it is set aside.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// The product or service, by its PSC code.
    psc: Option<String>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// When SAM.gov archives it.
    archive_on: Option<NaiveDate>,
    /// Whether SAM.gov lists it as active.
    active: Option<bool>,
    /// Where the work is done.
    place: Option<PlaceNode>,
    /// The text.
    description: Option<String>,
    /// Its page on SAM.gov.
    link: Option<String>,
}

/// Where work is done.
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

/// A contract that somebody won.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Award")]
struct AwardNode {
    /// The contract's number.
    number: Option<String>,
    /// The day it was awarded.
    date: Option<NaiveDate>,
    /// What it is worth.
    amount: Option<CentsScalar>,
    /// The company that won it.
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
            facts: view.facts.into(),
            awards: view.awards.into_values().map(AwardNode::from).collect(),
            awarded: view.awarded_cents.map(CentsScalar),
        }
    }
}

impl From<record::NoticeDetails> for OpportunityFactsNode {
    fn from(facts: record::NoticeDetails) -> Self {
        Self {
            title: facts.title,
            notice_type: facts.notice_type.to_string(),
            base_type: facts.base_type.map(|kind| kind.to_string()),
            agency: AgencyNode { code: facts.agency.code, name: facts.agency.name },
            sub_tier: facts.sub_tier,
            office: facts.office,
            solicitation_number: facts.solicitation_number,
            set_aside: facts.set_aside.map(|code| code.to_string()),
            naics: facts.naics.map(|code| code.to_string()),
            psc: facts.psc,
            response_deadline: facts.response_deadline,
            archive_on: facts.archive_on,
            active: facts.active,
            place: facts.place.map(PlaceNode::from),
            description: facts.description,
            link: facts.link,
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
