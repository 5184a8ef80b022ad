//! The read side of `MedContractHub`: projections, and the queries of their read models.
//!
//! Each read model is one folder with its projection of events, its writes and its queries. [`runtime`] runs all of
//! them in the same way.

pub mod change_feed;
mod error;
pub mod experiment_statistics;
#[cfg(test)]
mod fixture;
mod listed_opportunity;
pub mod opportunity_analytics;
mod opportunity_criteria;
pub mod opportunity_lists;
pub mod opportunity_search;
pub mod opportunity_views;
mod point_in_time;
pub mod read_models;
pub mod response_cache;
pub mod runtime;
mod selection_stats;
pub mod storage;
pub mod tenant_views;

pub use self::{
    error::QueryError,
    listed_opportunity::{ListEntry, ListedOpportunity},
    opportunity_criteria::{OpportunityCriteria, TimeRange},
    point_in_time::PointInTime,
};
