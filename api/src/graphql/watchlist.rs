//! GraphQL types and resolvers for watchlists: a user's saved opportunities and searches.

mod mutation;
mod query;
mod saved_search;

pub(super) use self::{mutation::WatchlistMutation, query::WatchlistQuery};
