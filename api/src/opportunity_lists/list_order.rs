//! Orders of lists, as clients choose them.

use async_graphql::Enum;
use serde::Deserialize;
use utoipa::ToSchema;

/// Order of a list of opportunities. Those without the value are last in every order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize, ToSchema)]
#[graphql(name = "OpportunityOrder", remote = "projections::opportunity_lists::OpportunityOrder")]
#[serde(rename_all = "snake_case")]
#[schema(description = "Order of a list of opportunities.")]
pub(crate) enum OpportunityOrderInput {
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
