//! Resources on the wire.

mod mutation;
pub(super) mod node;
mod query;

pub(super) use self::{mutation::ResourceMutation, query::ResourceQuery};
