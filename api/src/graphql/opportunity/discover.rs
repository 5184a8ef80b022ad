//! Entering an opportunity by hand.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, NaiveDate, Utc};
use commands::caller::Caller;
use domain::opportunity::{Agency, Facts, Naics, Notice, NoticeId, NoticeSource, NoticeType, Place, SetAside};

use super::{
    input::{self, MAX_DESCRIPTION, MAX_NAME, MAX_TITLE},
    outcome::{self, OpportunityOutcome},
};
use crate::{
    graphql::{
        condition::{self, ChangeConditions},
        error,
        operations::guard::OperatorOnly,
    },
    store::PgOpportunities,
};

/// Enters opportunities.
#[derive(Default)]
pub(super) struct DiscoverMutation;

#[Object]
impl DiscoverMutation {
    /// Enter an opportunity that is not on record yet. Safe to repeat with the same input.
    #[graphql(guard = "OperatorOnly")]
    async fn discover_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The notice that announces it.")] input: DiscoverOpportunityInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<OpportunityOutcome> {
        let notice = input.into_notice()?;
        let opportunities = error::wired(ctx.data::<PgOpportunities>())?;
        let conditions = condition::of(ctx, conditions)?;
        outcome::of(opportunities.discover(error::wired(ctx.data::<Caller>())?, notice, &conditions).await)
    }
}

/// A notice that announces an opportunity.
#[derive(InputObject)]
struct DiscoverOpportunityInput {
    /// SAM.gov's id of the notice, or one of your own: letters, digits, hyphens and underscores.
    notice_id: String,
    /// When the agency published it.
    posted_at: DateTime<Utc>,
    /// Its title, at most 1,000 characters.
    title: String,
    /// The kind of notice, e.g. `"Solicitation"`.
    #[graphql(name = "type")]
    notice_type: String,
    /// The department, by its published name, e.g. `"VETERANS AFFAIRS, DEPARTMENT OF"`.
    agency: String,
    /// The agency's own number. With the department it makes the opportunity's id; without it the notice stands for
    /// itself.
    solicitation_number: Option<String>,
    /// The agency below the department.
    sub_tier: Option<String>,
    /// The contracting office.
    office: Option<String>,
    /// For whom it is set aside, by SAM.gov's code, e.g. `"SDVOSBC"`.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// The product or service, by its PSC code.
    psc: Option<String>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// When it is to be archived.
    archive_on: Option<NaiveDate>,
    /// Where the work is done.
    place: Option<PlaceInput>,
    /// The text, at most 262,144 characters. No names, addresses or numbers of persons: the log does not forget.
    description: Option<String>,
    /// Its page on the web.
    link: Option<String>,
}

/// Where work is done.
#[derive(InputObject)]
struct PlaceInput {
    /// City.
    city: Option<String>,
    /// State or province.
    state: Option<String>,
    /// Postal code.
    zip: Option<String>,
    /// Country code.
    country: Option<String>,
}

impl DiscoverOpportunityInput {
    fn into_notice(self) -> Result<Notice> {
        Ok(Notice {
            notice_id: input::value("input.noticeId", &self.notice_id, NoticeId::try_new)?,
            source: NoticeSource::Manual,
            posted_at: input::time("input.postedAt", self.posted_at)?,
            award: None,
            facts: Facts {
                title: input::text("input.title", &self.title, MAX_TITLE)?,
                notice_type: input::value("input.type", &self.notice_type, NoticeType::try_new)?,
                agency: input::value("input.agency", &self.agency, Agency::from_name)?,
                solicitation_number: name("input.solicitationNumber", self.solicitation_number)?,
                base_type: None,
                sub_tier: name("input.subTier", self.sub_tier)?,
                office: name("input.office", self.office)?,
                set_aside: input::optional("input.setAside", self.set_aside, SetAside::try_new)?,
                naics: input::optional("input.naics", self.naics, Naics::try_new)?,
                psc: name("input.psc", self.psc)?,
                response_deadline: input::optional_time("input.responseDeadline", self.response_deadline)?,
                archive_on: input::optional_day("input.archiveOn", self.archive_on)?,
                active: None,
                place: self.place.map(PlaceInput::into_place).transpose()?,
                description: input::optional_text("input.description", self.description, MAX_DESCRIPTION)?,
                link: input::link("input.link", self.link)?,
            },
        })
    }
}

impl PlaceInput {
    fn into_place(self) -> Result<Place> {
        Ok(Place {
            city: name("input.place.city", self.city)?,
            state: name("input.place.state", self.state)?,
            zip: name("input.place.zip", self.zip)?,
            country: name("input.place.country", self.country)?,
        })
    }
}

fn name(field: &str, text: Option<String>) -> Result<Option<String>> {
    input::optional_text(field, text, MAX_NAME)
}
