//! The department behind an opportunity.

use async_graphql::SimpleObject;

/// A department or independent agency.
#[derive(Clone, SimpleObject)]
#[graphql(name = "Agency")]
pub(super) struct AgencyNode {
    /// Its Common Government-wide Accounting Classification code, or a slug of its name.
    pub(super) code: String,
    /// Its name as published.
    pub(super) name: String,
}
