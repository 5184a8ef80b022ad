//! Tasks on the wire: asked for and looked at here; workers take them over gRPC.

mod mutation;
pub(super) mod node;
mod query;

pub(super) use self::{mutation::TaskMutation, query::TaskQuery};
