//! Use cases: who asked, when, retry on conflict, the import of notices, and made-up data.
//!
//! The words (aggregates, commands, events) belong to `domain`; here they are put to use.

pub mod authority;
mod batch;
pub mod bus;
pub mod caller;
pub mod condition;
mod dice;
pub mod error;
mod execute;
pub mod import;
#[cfg(test)]
mod mem_log;
pub mod opportunity;
pub mod sam;
pub mod visit;
pub mod watchlist;
