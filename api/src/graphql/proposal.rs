//! Proposals on the wire.

mod changes;
mod history;
mod mutation;
mod node;
mod query;

pub(super) use self::{
    changes::ProposalChangesSubscription, history::ProposalHistoryQuery, mutation::ProposalMutation,
    query::ProposalQuery,
};
