//! Tasks on the wire: asked for and looked at here; workers take them over gRPC.

mod mutation;
mod query;
pub(super) mod view;

pub(super) use self::{mutation::TaskMutation, query::TaskQuery};
