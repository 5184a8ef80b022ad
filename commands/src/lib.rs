//! Use cases: authorization, audit stamps, retry on conflict, and the import of notices.
//!
//! Aggregates, commands and events are defined in `domain`; this crate carries the commands out.

pub mod append_batch;
pub mod authorization;
pub mod caller;
mod command_execution;
pub mod dispatcher;
pub mod error;
pub mod in_memory_log;
pub mod precondition;
pub mod visit;
