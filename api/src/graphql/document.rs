//! GraphQL types and resolvers for documents. Files are uploaded and downloaded over REST.

mod analysis_input;
mod mutation;
mod node;
mod query;

pub(super) use self::{mutation::DocumentMutation, query::DocumentQuery};
