//! Use cases: authorization, audit stamps, retry on conflict, the import of notices, and generated data.
//!
//! Aggregates, commands and events are defined in `domain`; this crate carries the commands out.

mod append_batch;
pub mod authorization;
pub mod caller;
mod command_execution;
pub mod dispatcher;
pub mod error;
mod generator_rng;
#[cfg(test)]
mod in_memory_log;
pub mod notice_import;
pub mod opportunity;
pub mod precondition;
pub mod sam;
pub mod visit;
pub mod watchlist;
