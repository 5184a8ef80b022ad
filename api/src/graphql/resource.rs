//! Resources on the wire.

mod mutation;
mod query;
pub(super) mod view;

pub(super) use self::{mutation::ResourceMutation, query::ResourceQuery};
