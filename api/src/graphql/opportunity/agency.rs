//! The agency that publishes an opportunity.

use async_graphql::SimpleObject;

/// A department or independent agency.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Agency")]
pub(super) struct AgencyNode {
    /// Common Government-wide Accounting Classification code, or a slug of the name.
    pub(super) code: String,
    /// Name as published.
    pub(super) name: String,
}
