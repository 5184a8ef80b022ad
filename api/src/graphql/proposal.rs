//! Proposals on the wire.

mod changes;
mod mutation;
mod past;
mod query;
mod view;

pub(super) use self::{
    changes::ProposalChangesSubscription, mutation::ProposalMutation, past::ProposalHistoryQuery, query::ProposalQuery,
};
