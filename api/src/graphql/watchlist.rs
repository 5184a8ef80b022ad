//! Watchlists on the wire: what a user saved.

mod mutation;
mod query;
mod saved_search;

pub(super) use self::{mutation::WatchlistMutation, query::WatchlistQuery};
