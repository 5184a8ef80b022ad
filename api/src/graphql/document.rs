//! Documents on the wire. Files come and go over REST.

mod analysis_input;
mod mutation;
mod node;
mod query;

pub(super) use self::{mutation::DocumentMutation, query::DocumentQuery};
