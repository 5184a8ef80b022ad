//! The edges of `MedContractHub`: GraphQL, HTTP, the command line, configuration, and the composition of everything.
//!
//! Nothing here decides anything: it translates, calls and puts together.

pub mod app_context;
pub mod auth;
pub mod bench;
pub mod cli;
pub mod config;
pub mod graphql;
pub mod grpc;
pub mod http;
pub mod object_store;
pub mod rest;
pub mod schema_registry;
pub mod serve;
mod tenant_commands;
