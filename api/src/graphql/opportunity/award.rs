//! Entering an award by hand.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::NaiveDate;
use commands::caller::Caller;
use domain::opportunity::{self as record, Award};

use super::{
    input::{self, MAX_NAME},
    outcome::{self, OpportunityOutcome},
};
use crate::{
    graphql::{
        cents::Cents,
        condition::{self, ChangeConditions},
        error,
        operations::guard::OperatorOnly,
    },
    store::PgOpportunities,
};

/// Enters awards.
#[derive(Default)]
pub(super) struct AwardMutation;

#[Object]
impl AwardMutation {
    /// Enter a contract that somebody won. Safe to repeat: awards are told apart by their number.
    #[graphql(guard = "OperatorOnly")]
    async fn award_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The award.")] input: AwardOpportunityInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<OpportunityOutcome> {
        let id = input::id("input.id", &input.id)?;
        let award = input.into_award()?;
        let opportunities = error::wired(ctx.data::<PgOpportunities>())?;
        let conditions = condition::of(ctx, conditions)?;
        outcome::of(opportunities.award(error::wired(ctx.data::<Caller>())?, &id, award, &conditions).await)
    }
}

/// A contract that somebody won.
#[derive(InputObject)]
struct AwardOpportunityInput {
    /// The opportunity.
    id: String,
    /// The contract's number.
    number: String,
    /// The day it was awarded.
    date: Option<NaiveDate>,
    /// What it is worth, not below zero.
    amount: Option<Cents>,
    /// The company that won it, no person.
    awardee: Option<String>,
}

impl AwardOpportunityInput {
    fn into_award(self) -> Result<Award> {
        if self.amount.is_some_and(|amount| amount.0 < 0) {
            return Err(error::invalid_field("input.amount", "the amount is below zero".to_owned()));
        }
        Ok(Award {
            number: Some(input::text("input.number", &self.number, MAX_NAME)?),
            date: input::optional_day("input.date", self.date)?,
            amount: self.amount.map(|amount| record::Cents(amount.0)),
            awardee: input::optional_text("input.awardee", self.awardee, MAX_NAME)?,
        })
    }
}
