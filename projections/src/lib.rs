//! The read side of `MedContractHub`: events in, answers out.
//!
//! Each read model is one folder that holds what it takes from the log, how it writes, and the queries it answers.
//! [`runtime`] drives them all in the same way.

pub mod analytics;
pub mod answers;
pub mod catalog;
mod connection;
mod error;
mod filter;
#[cfg(test)]
mod fixture;
pub mod live;
mod question;
pub mod runtime;
pub mod search;
pub mod views;
pub mod workspace;

pub use self::{
    error::QueryError,
    filter::{Filter, TimeRange},
};
