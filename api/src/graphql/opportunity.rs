//! GraphQL types and resolvers for opportunities.

mod agency;
mod amend;
mod award;
mod changes;
mod close;
mod dashboard;
mod detail;
mod discover;
mod facets;
mod filter;
mod history;
mod list;
mod order;
mod outcome;
mod recommended;
mod search;
mod similar;
mod stats;

use async_graphql::MergedObject;

use self::{amend::AmendMutation, award::AwardMutation, close::CloseMutation, discover::DiscoverMutation};
pub(super) use self::{
    changes::OpportunityChangesSubscription, dashboard::OpportunityDashboardSubscription,
    detail::OpportunityDetailQuery, detail::OpportunityNode, history::OpportunityHistoryQuery,
    list::OpportunityListQuery, recommended::OpportunityRecommendedQuery, search::OpportunitySearchQuery,
    similar::OpportunitySimilarQuery, stats::OpportunityStatsQuery,
};
use super::input_validation;

/// Changes to opportunities.
#[derive(MergedObject, Default)]
pub(super) struct OpportunityMutation(DiscoverMutation, AmendMutation, AwardMutation, CloseMutation);
