//! Orders of lists of opportunities.

use async_graphql::Result;
use projections::{opportunity_analytics::OpportunitySelection, opportunity_lists::OpportunityOrder};

use crate::{graphql::error::invalid_field, opportunity_lists::OpportunityOrderInput};

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
