//! Use cases: authorization, audit stamps, retries after conflicts, and batch appends.
//!
//! Aggregates, commands and events are defined in `domain`; this crate executes the commands.

pub mod append_batch;
pub mod authorization;
pub mod caller;
pub mod command_batch;
mod command_execution;
mod command_metrics;
pub mod dispatcher;
pub mod error;
pub mod feature_flags;
pub mod in_memory_log;
pub mod precondition;
pub mod visit;
