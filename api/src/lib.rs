//! The edges of `MedContractHub`: GraphQL, HTTP, the command line, configuration, and the composition of everything.
//!
//! Nothing here decides anything: it translates, calls and puts together.

pub mod bench;
pub mod cli;
pub mod config;
pub mod graphql;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod objects;
mod owned;
pub mod registry;
pub mod rest;
pub mod serve;
pub mod store;
