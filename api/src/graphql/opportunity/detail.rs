//! Everything on record about one opportunity; from Redis, one read.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity as record;
use projections::views::{self, OpportunityView, Status};

use super::{agency::Agency, input, past::OpportunityMoment};
use crate::{
    graphql::{cents::Cents, error, reading},
    store::Stores,
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
    ) -> Result<Option<Opportunity>> {
        let id = input::id("id", &id)?;
        let view = match as_of {
            None => reading::of(ctx)?.views().await?.get(&id).await,
            Some(moment) => {
                let log = error::wired(ctx.data::<Stores>())?.runtime.log();
                views::opportunity_at(log, &id, moment.into()).await
            }
        };
        Ok(view.map_err(|error| error::query(&error))?.map(Opportunity::from))
    }
}

/// A federal solicitation with everything on record about it.
#[derive(Clone, SimpleObject)]
pub(in crate::graphql) struct Opportunity {
    /// Its id: department code and solicitation number.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// How far it has come.
    status: OpportunityStatus,
    /// How many notices were published about it.
    notice_count: u64,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// When the first notice was published.
    first_posted_at: DateTime<Utc>,
    /// What the current notice states.
    facts: OpportunityFacts,
    /// The awards on record.
    awards: Vec<Award>,
    /// What the awards are worth together, where amounts are known.
    awarded: Option<Cents>,
}

/// How far an opportunity has come.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum OpportunityStatus {
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
struct OpportunityFacts {
    /// Its title.
    title: String,
    /// The kind of notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// The kind of the solicitation's first notice.
    base_type: Option<String>,
    /// The department.
    agency: Agency,
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
    place: Option<Place>,
    /// The text.
    description: Option<String>,
    /// Its page on SAM.gov.
    link: Option<String>,
}

/// Where work is done.
#[derive(Clone, SimpleObject)]
struct Place {
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
struct Award {
    /// The contract's number.
    number: Option<String>,
    /// The day it was awarded.
    date: Option<NaiveDate>,
    /// What it is worth.
    amount: Option<Cents>,
    /// The company that won it.
    awardee: Option<String>,
}

impl From<OpportunityView> for Opportunity {
    fn from(view: OpportunityView) -> Self {
        Self {
            id: view.id,
            version: view.version,
            status: match view.status {
                Status::Open => OpportunityStatus::Open,
                Status::Awarded => OpportunityStatus::Awarded,
                Status::Cancelled => OpportunityStatus::Cancelled,
                Status::Archived => OpportunityStatus::Archived,
            },
            notice_count: view.notice_count,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            first_posted_at: view.first_posted_at,
            facts: view.facts.into(),
            awards: view.awards.into_values().map(Award::from).collect(),
            awarded: view.awarded_cents.map(Cents),
        }
    }
}

impl From<record::Facts> for OpportunityFacts {
    fn from(facts: record::Facts) -> Self {
        Self {
            title: facts.title,
            notice_type: facts.notice_type.to_string(),
            base_type: facts.base_type.map(|kind| kind.to_string()),
            agency: Agency { code: facts.agency.code, name: facts.agency.name },
            sub_tier: facts.sub_tier,
            office: facts.office,
            solicitation_number: facts.solicitation_number,
            set_aside: facts.set_aside.map(|code| code.to_string()),
            naics: facts.naics.map(|code| code.to_string()),
            psc: facts.psc,
            response_deadline: facts.response_deadline,
            archive_on: facts.archive_on,
            active: facts.active,
            place: facts.place.map(Place::from),
            description: facts.description,
            link: facts.link,
        }
    }
}

impl From<record::Place> for Place {
    fn from(place: record::Place) -> Self {
        Self { city: place.city, state: place.state, zip: place.zip, country: place.country }
    }
}

impl From<record::Award> for Award {
    fn from(award: record::Award) -> Self {
        Self {
            number: award.number,
            date: award.date,
            amount: award.amount.map(|amount| Cents(amount.0)),
            awardee: award.awardee,
        }
    }
}
