//! Matches each new and changed opportunity against the saved searches of all companies (percolation, as search engines
//! call it).
//!
//! ```text
//! log ──events of searches and members──▶ SearchRegistry: SearchIndex, in memory of each program
//!                                               │ matches of a batch
//! Kafka ──opportunities──▶ SavedSearchMatching ─┴──▶ one transaction: search_matches, and what the process
//!                                                    saved-search-alerts decides: notifications to send
//! ```
//!
//! A match is recorded once for each search and opportunity, together with the command that notifies the user, so that
//! neither redelivery nor a second program nor an amendment notifies again. Past opportunities are never matched: the
//! projection is a forwarding one. The design and its reasons are in ADR 37.

mod alert_window;
mod ended_searches;
mod error;
mod match_batch;
mod match_store;
mod matched_opportunity;
mod matching_projection;
mod search_entry;
mod search_index;
mod search_registry;

pub use self::{
    ended_searches::EndedSearches,
    error::MatchingError,
    match_batch::{BatchMatches, MAX_RECORDED_PER_HOUR, SearchMatches},
    match_store::{MatchStore, RETENTION_DAYS},
    matched_opportunity::MatchedOpportunity,
    matching_projection::{MatchingChange, SavedSearchMatching},
    search_entry::{SearchEntry, SearchKey},
    search_index::{IndexSize, MATCH_THRESHOLD, SearchIndex, WordScores},
    search_registry::{SearchRegistry, SearchRegistryConfig},
};
