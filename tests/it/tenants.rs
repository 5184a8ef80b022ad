//! Aggregates of tenants as frontends and machines use them: over a running product, with tokens and API keys.

mod documents;
mod generations;
mod identity;
mod isolation;
mod notifications;
mod proposals;
mod query_cost;
mod search;
mod shared_editing;
