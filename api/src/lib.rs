//! The edges of `MedContractHub`: GraphQL, REST, gRPC, the command line, the configuration, and the composition of all
//! parts.
//!
//! This crate contains no domain rules: it translates requests, calls the other crates and starts their parts.

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
