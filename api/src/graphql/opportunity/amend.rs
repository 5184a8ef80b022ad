//! Manual amendment of an opportunity.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use domain::opportunity::{AmendOpportunity, NaicsCode, NoticeId, OpportunityCommand, SetAside};

use super::{
    input_validation::{self, MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS},
    outcome::{OpportunityChangeOutcome, dispatch_opportunity_command},
};
use crate::graphql::{
    error,
    precondition::{self, PreconditionsInput},
    projection::guard::OperatorOnly,
};

/// Changes opportunities.
#[derive(Default)]
pub(super) struct AmendMutation;

#[Object]
impl AmendMutation {
    /// Amends a recorded opportunity. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn amend_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The fields to change.")] input: AmendOpportunityInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("input.id", &input.id)?;
        let amendment = input.into_amendment()?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_opportunity_command(ctx, &id, &conditions, |stamp| {
            OpportunityCommand::Amend(Box::new(AmendOpportunity { amended_at: stamp.at, ..amendment }))
        })
        .await
    }
}

/// An amendment of an opportunity; omitted fields stay unchanged.
#[derive(InputObject)]
struct AmendOpportunityInput {
    /// The opportunity's id.
    id: String,
    /// Id of the notice that announces the amendment; the current notice by default.
    notice_id: Option<String>,
    /// New title, at most 1,000 characters.
    title: Option<String>,
    /// New description, at most 262,144 characters.
    description: Option<String>,
    /// New response deadline.
    response_deadline: Option<DateTime<Utc>>,
    /// New set-aside code.
    set_aside: Option<String>,
    /// New NAICS code.
    naics: Option<String>,
    /// New URLs of files, at most 250 of at most 2,000 characters; an empty list removes them.
    resource_links: Option<Vec<String>>,
}

impl AmendOpportunityInput {
    /// The amendment; the command sets its time.
    fn into_amendment(self) -> Result<AmendOpportunity> {
        let amendment = AmendOpportunity {
            amended_at: DateTime::UNIX_EPOCH,
            notice_id: input_validation::parse_optional("input.noticeId", self.notice_id, NoticeId::try_new)?,
            title: self
                .title
                .map(|title| input_validation::parse_text("input.title", &title, MAX_TITLE_CHARS))
                .transpose()?,
            description: input_validation::parse_optional_text(
                "input.description",
                self.description,
                MAX_DESCRIPTION_CHARS,
            )?,
            response_deadline: input_validation::validate_optional_time(
                "input.responseDeadline",
                self.response_deadline,
            )?,
            set_aside: input_validation::parse_optional("input.setAside", self.set_aside, SetAside::try_new)?,
            naics: input_validation::parse_optional("input.naics", self.naics, NaicsCode::try_new)?,
            resource_links: input_validation::parse_resource_links("input.resourceLinks", self.resource_links)?,
        };
        if amendment.changes_nothing() {
            return Err(error::invalid_field("input", "the input changes nothing".to_owned()));
        }
        Ok(amendment)
    }
}
