//! Use cases: who asked, when, retry on conflict, and the import of notices.
//!
//! The words (aggregates, commands, events) belong to `domain`; here they are put to use.

pub mod caller;
pub mod error;
pub mod import;
pub mod opportunity;
pub mod sam;
