//! Detail views and counters in `Redis`.
//!
//! A view is a hash of two fields: the version, which is the sequence of the last event taken in, and the folded
//! state. One script per change compares the version, writes both and moves the counters, all or nothing; so an event
//! counts exactly once, however often it comes.

mod compare;
mod config;
mod counter;
mod fold;
mod projection;
mod store;
mod view;

pub use self::{
    config::ViewsConfig,
    counter::Counters,
    projection::ViewChange,
    store::Views,
    view::{OpportunityView, Status},
};
