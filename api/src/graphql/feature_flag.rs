//! GraphQL types and resolvers for feature flags. For operators.

mod mutation;
mod node;
mod query;

pub(super) use self::{mutation::FeatureFlagMutation, query::FeatureFlagQuery};
