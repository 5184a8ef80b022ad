//! What companies do with what they own, as frontends and machines see it: over a running stack, with tokens and keys.

mod documents;
mod identity;
mod isolation;
mod notifications;
mod proposals;
mod query_cost;
mod search;
mod shared_editing;
