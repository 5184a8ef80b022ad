//! Opportunities on the wire.

mod agency;
mod amend;
mod award;
mod changes;
mod close;
mod dashboard;
mod detail;
mod discover;
mod filter;
mod list;
mod outcome;
mod past;
mod recommended;
mod search;
mod similar;
mod stats;

use async_graphql::MergedObject;

use self::{amend::AmendMutation, award::AwardMutation, close::CloseMutation, discover::DiscoverMutation};
pub(super) use self::{
    changes::OpportunityChangesSubscription, dashboard::OpportunityDashboardSubscription, detail::Opportunity,
    detail::OpportunityDetailQuery, list::OpportunityListQuery, past::OpportunityHistoryQuery,
    recommended::OpportunityRecommendedQuery, search::OpportunitySearchQuery, similar::OpportunitySimilarQuery,
    stats::OpportunityStatsQuery,
};
use super::input;

/// Changes to opportunities.
#[derive(MergedObject, Default)]
pub(super) struct OpportunityMutation(DiscoverMutation, AmendMutation, AwardMutation, CloseMutation);
