//! GraphQL types and resolvers for proposals.

mod changes;
mod history;
mod mutation;
mod node;
mod query;

pub(super) use self::{
    changes::ProposalChangesSubscription, history::ProposalHistoryQuery, mutation::ProposalMutation,
    query::ProposalQuery,
};
