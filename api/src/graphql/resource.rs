//! GraphQL types and resolvers for resources.

mod mutation;
pub(super) mod node;
mod query;

pub(super) use self::{mutation::ResourceMutation, query::ResourceQuery};
