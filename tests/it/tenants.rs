//! What companies do with what they own, as frontends and machines see it: over a running stack, with tokens and keys.

mod cost;
mod documents;
mod identity;
mod isolation;
mod proposals;
mod search;
mod together;
mod told;
