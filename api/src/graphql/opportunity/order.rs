//! Orders of lists of opportunities.

use async_graphql::{Enum, Result};
use projections::{opportunity_analytics::OpportunitySelection, opportunity_lists::OpportunityOrder};

use crate::graphql::error::invalid_field;

/// Order of a list of opportunities. Those without the value are last in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OpportunityOrder")]
pub(super) enum OpportunityOrderInput {
    /// Newest notice first.
    PostedNewest,
    /// Oldest notice first.
    PostedOldest,
    /// Earliest response deadline first. To leave out those that are over, set `filter.deadlineFrom`.
    DeadlineSoonest,
    /// Latest response deadline first.
    DeadlineLatest,
    /// Highest total of the awards with a known amount first.
    AmountHighest,
    /// Lowest total of the awards with a known amount first.
    AmountLowest,
    /// Best match of `filter.text` first, which is required. The list ends after some hundred of the newest matches.
    Relevance,
}

impl From<OpportunityOrderInput> for OpportunityOrder {
    fn from(order: OpportunityOrderInput) -> Self {
        match order {
            OpportunityOrderInput::PostedNewest => Self::PostedNewest,
            OpportunityOrderInput::PostedOldest => Self::PostedOldest,
            OpportunityOrderInput::DeadlineSoonest => Self::DeadlineSoonest,
            OpportunityOrderInput::DeadlineLatest => Self::DeadlineLatest,
            OpportunityOrderInput::AmountHighest => Self::AmountHighest,
            OpportunityOrderInput::AmountLowest => Self::AmountLowest,
            OpportunityOrderInput::Relevance => Self::Relevance,
        }
    }
}

/// The order of a list of `selection`; the newest notice first by default.
pub(super) fn parse_order(
    order: Option<OpportunityOrderInput>,
    selection: &OpportunitySelection,
) -> Result<OpportunityOrder> {
    let order = order.map(OpportunityOrder::from).unwrap_or_default();
    if order == OpportunityOrder::Relevance && selection.text.is_none() {
        return Err(invalid_field("orderBy", "RELEVANCE needs words to compare with: set filter.text".to_owned()));
    }
    Ok(order)
}
