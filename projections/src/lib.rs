//! The read side of `MedContractHub`: projections, and the queries of their read models.
//!
//! Each read model is one folder with its projection of events, its writes and its queries. [`runtime`] runs all of
//! them in the same way.

pub mod change_feed;
mod error;
#[cfg(test)]
mod fixture;
pub mod opportunity_analytics;
mod opportunity_criteria;
pub mod opportunity_search;
pub mod opportunity_views;
mod query_metrics;
pub mod read_models;
mod redacted_url;
pub mod response_cache;
pub mod runtime;
pub mod tenant_views;

pub use self::{
    error::QueryError,
    opportunity_criteria::{OpportunityCriteria, TimeRange},
};
