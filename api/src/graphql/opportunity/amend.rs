//! Changing by hand what is on record.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use commands::{caller::Caller, opportunity::Amendment};
use domain::opportunity::{Naics, NoticeId, SetAside};

use super::{
    input::{self, MAX_DESCRIPTION, MAX_TITLE},
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

/// Changes opportunities.
#[derive(Default)]
pub(super) struct AmendMutation;

#[Object]
impl AmendMutation {
    /// Change what is on record about an opportunity.
    #[graphql(guard = "OperatorOnly")]
    async fn amend_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes.")] input: AmendOpportunityInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<OpportunityOutcome> {
        let id = input::id("input.id", &input.id)?;
        let amendment = input.into_amendment()?;
        let opportunities = error::wired(ctx.data::<PgOpportunities>())?;
        let conditions = condition::of(ctx, conditions)?;
        outcome::of(opportunities.amend(error::wired(ctx.data::<Caller>())?, &id, amendment, &conditions).await)
    }
}

/// A change to an opportunity; what is left out stays as it is.
#[derive(InputObject)]
struct AmendOpportunityInput {
    /// The opportunity.
    id: String,
    /// The notice that says so; by default the current one.
    notice_id: Option<String>,
    /// New title, at most 1,000 characters.
    title: Option<String>,
    /// New text, at most 262,144 characters.
    description: Option<String>,
    /// New end of the time for responses.
    response_deadline: Option<DateTime<Utc>>,
    /// New set-aside code.
    set_aside: Option<String>,
    /// New NAICS code.
    naics: Option<String>,
}

impl AmendOpportunityInput {
    fn into_amendment(self) -> Result<Amendment> {
        let amendment = Amendment {
            notice_id: input::optional("input.noticeId", self.notice_id, NoticeId::try_new)?,
            title: self.title.map(|title| input::text("input.title", &title, MAX_TITLE)).transpose()?,
            description: input::optional_text("input.description", self.description, MAX_DESCRIPTION)?,
            response_deadline: input::optional_time("input.responseDeadline", self.response_deadline)?,
            set_aside: input::optional("input.setAside", self.set_aside, SetAside::try_new)?,
            naics: input::optional("input.naics", self.naics, Naics::try_new)?,
        };
        if amendment == Amendment::default() {
            return Err(error::invalid_field("input", "nothing is to be changed".to_owned()));
        }
        Ok(amendment)
    }
}
