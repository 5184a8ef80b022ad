//! GraphQL types and resolvers that request and show tasks; workers take them over gRPC.

mod mutation;
pub(super) mod node;
mod query;

pub(super) use self::{mutation::TaskMutation, query::TaskQuery};
