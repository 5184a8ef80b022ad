//! The program `medhub`: command line, configuration, composition of all parts, the roles of a process, and the schema
//! registry.

// The optimised build lays out the futures of all resolvers here, nested deeper than the compiler's default allows.
#![recursion_limit = "256"]

pub mod cli;
pub mod config;
mod connection_advice;
pub mod engine_clients;
mod file_limit;
mod jobs;
pub mod schema_registry;
pub mod serve;
