//! Watchlists on the wire: what a user saved.

mod mutation;
mod query;
mod search;

pub(super) use self::{mutation::WatchlistMutation, query::WatchlistQuery};
