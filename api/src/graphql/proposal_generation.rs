//! GraphQL types and resolvers for generations of proposals; workers carry them out.

mod mutation;
mod node;
mod query;
mod subscription;

pub(super) use self::{
    mutation::ProposalGenerationMutation, query::ProposalGenerationQuery, subscription::ProposalGenerationSubscription,
};
