//! The write model of `MedContractHub`: aggregates with their commands, events and errors.
//!
//! Pure: no clock, no generated ids, no environment, no I/O. Every other crate may depend on this one; it depends on
//! none of them. What the crates share (the envelope, the topics, the traits of a log) is defined here.

/// Calls a macro with all aggregates by bounded context, for what has to be written for each of them.
#[macro_export]
macro_rules! with_aggregates {
    ($callback:ident) => {
        $callback! {
            Opportunities { opportunity::Opportunity, watchlist::Watchlist, }
            Analytics { visit::Visit, }
            System { company::Company, inbox::Inbox, feature_flag::FeatureFlag, }
            Documents { document::Document, }
            Proposals { proposal::Proposal, proposal_generation::ProposalGeneration, }
            Resources { resource::Resource, }
            Tasks { task::Task, }
        }
    };
}

pub mod aggregate;
pub mod aggregates;
pub mod clock;
pub mod company;
pub mod context;
pub mod document;
pub mod envelope;
pub mod error_chain;
pub mod event_store;
pub mod event_version;
pub mod feature_flag;
pub mod fingerprint;
pub mod generation_progress;
pub mod inbox;
pub mod log_reader;
pub mod opportunity;
pub mod partition;
pub mod proposal;
pub mod proposal_generation;
pub mod refusal_code;
pub mod resource;
pub mod stream_id;
mod tagged_enum;
pub mod task;
pub mod time_text;
pub mod upcast;
pub mod value;
pub mod visit;
pub mod watchlist;
