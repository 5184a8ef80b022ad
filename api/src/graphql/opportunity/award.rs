//! Manual recording of an award.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::NaiveDate;
use domain::opportunity::{self as record, Award, AwardOpportunity, OpportunityCommand};

use super::{
    input_validation::{self, MAX_NAME_CHARS},
    outcome::{OpportunityChangeOutcome, dispatch_opportunity_command},
};
use crate::graphql::{
    cents::CentsScalar,
    error,
    precondition::{self, PreconditionsInput},
    projection::guard::OperatorOnly,
};

/// Records awards.
#[derive(Default)]
pub(super) struct AwardMutation;

#[Object]
impl AwardMutation {
    /// Records an award. Safe to repeat: awards are identified by their number. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn award_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The award.")] input: AwardOpportunityInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<OpportunityChangeOutcome> {
        let id = input_validation::parse_opportunity_id("input.id", &input.id)?;
        let award = input.into_award()?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let command = OpportunityCommand::Award(AwardOpportunity { award });
        dispatch_opportunity_command(ctx, &id, &conditions, |_| command).await
    }
}

/// An awarded contract.
#[derive(InputObject)]
struct AwardOpportunityInput {
    /// The opportunity's id.
    id: String,
    /// Contract number.
    number: String,
    /// Day of the award.
    date: Option<NaiveDate>,
    /// Contract value, not negative.
    amount: Option<CentsScalar>,
    /// Name of the company that won the contract; never the name of a person.
    awardee: Option<String>,
}

impl AwardOpportunityInput {
    fn into_award(self) -> Result<Award> {
        if self.amount.is_some_and(|amount| amount.0 < 0) {
            return Err(error::invalid_field("input.amount", "the amount is negative".to_owned()));
        }
        Ok(Award {
            number: Some(input_validation::parse_text("input.number", &self.number, MAX_NAME_CHARS)?),
            date: input_validation::validate_optional_day("input.date", self.date)?,
            amount: self.amount.map(|amount| record::UsdCents(amount.0)),
            awardee: input_validation::parse_optional_text("input.awardee", self.awardee, MAX_NAME_CHARS)?,
        })
    }
}
