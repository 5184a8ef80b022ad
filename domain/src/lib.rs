//! The write model of `MedContractHub`: what can be asked, refused and remembered.
//!
//! Pure: no clock, no ids, no environment, no I/O. Every other crate depends on this one and it depends on none of
//! them; what siblings share (the envelope, the topics, the traits of a log) lives here.

pub mod aggregate;
pub mod clock;
pub mod company;
pub mod context;
pub mod document;
pub mod envelope;
pub mod event_store;
pub mod fingerprint;
pub mod inbox;
pub mod log_reader;
pub mod opportunity;
pub mod partition;
pub mod proposal;
pub mod resource;
pub mod task;
pub mod upcast;
pub mod value;
pub mod visit;
pub mod watchlist;
