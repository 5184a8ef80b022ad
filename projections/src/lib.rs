//! The read side of `MedContractHub`: events in, answers out.
//!
//! Each read model is one folder that holds what it takes from the log, how it writes, and the queries it answers.
//! [`runtime`] drives them all in the same way.

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
