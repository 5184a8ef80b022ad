//! The program `medhub`: command line, configuration, composition of all parts, the roles of a process, and the schema
//! registry.

pub mod cli;
pub mod config;
pub mod engine_clients;
pub mod schema_registry;
pub mod serve;
