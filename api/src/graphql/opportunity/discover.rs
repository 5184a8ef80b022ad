//! Manual recording of an opportunity.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::{
    Agency, NaicsCode, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, OpportunityCommand,
    PlaceOfPerformance, SetAside,
};

use super::{
    input_validation::{self, MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_TITLE_CHARS},
    outcome::{OpportunityChangeOutcome, dispatch_opportunity_command},
};
use crate::graphql::{
    precondition::{self, PreconditionsInput},
    projection::guard::OperatorOnly,
};

/// Records opportunities.
#[derive(Default)]
pub(super) struct DiscoverMutation;

#[Object]
impl DiscoverMutation {
    /// Records a new opportunity. Safe to repeat with the same input. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn discover_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The notice that announces it.")] input: DiscoverOpportunityInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let notice = input.into_notice()?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let id = notice.opportunity_id();
        dispatch_opportunity_command(ctx, &id, &conditions, |_| OpportunityCommand::Discover(Box::new(notice))).await
    }
}

/// A notice that announces an opportunity.
#[derive(InputObject)]
struct DiscoverOpportunityInput {
    /// SAM.gov's id of the notice, or an id that you choose: letters, digits, hyphens and underscores.
    notice_id: String,
    /// When the agency published it.
    posted_at: DateTime<Utc>,
    /// Title, at most 1,000 characters.
    title: String,
    /// Notice type, e.g. `"Solicitation"`.
    #[graphql(name = "type")]
    notice_type: String,
    /// Published name of the department, e.g. `"VETERANS AFFAIRS, DEPARTMENT OF"`.
    agency: String,
    /// Solicitation number of the agency. Department and number form the opportunity's id; without a number the id is
    /// `notice:<noticeId>`.
    solicitation_number: Option<String>,
    /// Sub-tier: the agency below the department.
    sub_tier: Option<String>,
    /// Contracting office.
    office: Option<String>,
    /// Set-aside code of SAM.gov, e.g. `"SDVOSBC"`.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// PSC code of the product or service.
    psc: Option<String>,
    /// Response deadline.
    response_deadline: Option<DateTime<Utc>>,
    /// Day on which it is to be archived.
    archive_on: Option<NaiveDate>,
    /// Place of performance.
    place: Option<PlaceInput>,
    /// Description, at most 262,144 characters. Must not contain names, addresses or numbers of persons: events are
    /// immutable.
    description: Option<String>,
    /// URL of its web page.
    link: Option<String>,
    /// URLs of its files, at most 250 of at most 2,000 characters; repeated ones count once.
    resource_links: Option<Vec<String>>,
}

/// A place of performance.
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
            notice_id: input_validation::parse_value("input.noticeId", &self.notice_id, NoticeId::try_new)?,
            source: NoticeSource::Manual,
            posted_at: input_validation::validate_time("input.postedAt", self.posted_at)?,
            award: None,
            details: NoticeDetails {
                solicitation_number: parse_optional_name("input.solicitationNumber", self.solicitation_number)?,
                sub_tier: parse_optional_name("input.subTier", self.sub_tier)?,
                office: parse_optional_name("input.office", self.office)?,
                set_aside: input_validation::parse_optional("input.setAside", self.set_aside, SetAside::try_new)?,
                naics: input_validation::parse_optional("input.naics", self.naics, NaicsCode::try_new)?,
                psc: parse_optional_name("input.psc", self.psc)?,
                response_deadline: input_validation::validate_optional_time(
                    "input.responseDeadline",
                    self.response_deadline,
                )?,
                archive_on: input_validation::validate_optional_day("input.archiveOn", self.archive_on)?,
                place: self.place.map(PlaceInput::into_place).transpose()?,
                description: input_validation::parse_optional_text(
                    "input.description",
                    self.description,
                    MAX_DESCRIPTION_CHARS,
                )?,
                link: input_validation::parse_link("input.link", self.link)?,
                resource_links: input_validation::parse_resource_links("input.resourceLinks", self.resource_links)?,
                ..NoticeDetails::new(
                    input_validation::parse_text("input.title", &self.title, MAX_TITLE_CHARS)?,
                    input_validation::parse_value("input.type", &self.notice_type, NoticeType::try_new)?,
                    input_validation::parse_value("input.agency", &self.agency, Agency::from_name)?,
                )
            },
        })
    }
}

impl PlaceInput {
    fn into_place(self) -> Result<PlaceOfPerformance> {
        Ok(PlaceOfPerformance {
            city: parse_optional_name("input.place.city", self.city)?,
            state: parse_optional_name("input.place.state", self.state)?,
            zip: parse_optional_name("input.place.zip", self.zip)?,
            country: parse_optional_name("input.place.country", self.country)?,
        })
    }
}

fn parse_optional_name(field: &str, text: Option<String>) -> Result<Option<String>> {
    input_validation::parse_optional_text(field, text, MAX_NAME_CHARS)
}
