//! The matches of a batch of opportunities, by search.

use std::collections::BTreeMap;

use domain::watchlist::NotificationFrequency;
pub use processes::saved_search_alert_process::MAX_RECORDED_PER_HOUR;

use crate::{SearchEntry, SearchKey};

/// What a batch of opportunities matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchMatches {
    /// The searches that match.
    pub searches: Vec<SearchMatches>,
    /// Events of searches and members up to this position of the log were considered.
    pub position: u64,
}

/// The matches of one search in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchMatches {
    /// The search.
    pub key: SearchKey,
    /// Its name.
    pub name: Box<str>,
    /// When its user is notified.
    pub notify: NotificationFrequency,
    /// Position of the event since which the search has notified its user: it was saved, or the user joined.
    pub active_since: u64,
    /// The first opportunities that match, by their index in the batch; at most [`MAX_RECORDED_PER_HOUR`].
    pub opportunities: Vec<usize>,
    /// How many more match.
    pub more: u64,
}

/// Adds the searches that an opportunity of a batch matches, each with the position since which it is active. What is
/// held stays bounded: a search that matches everything holds no more than can be recorded.
pub(crate) fn collect_matches<'a>(
    matches: &mut BTreeMap<SearchKey, SearchMatches>,
    opportunity: usize,
    searches: impl Iterator<Item = (&'a SearchEntry, u64)>,
) {
    for (search, active_since) in searches {
        let found = matches.entry(search.key.clone()).or_insert_with(|| SearchMatches {
            key: search.key.clone(),
            name: search.name.clone(),
            notify: search.notify,
            active_since,
            opportunities: vec![],
            more: 0,
        });
        // An opportunity that is twice in a batch counts once, unless it is amended in between.
        if found.opportunities.len() < MAX_RECORDED_PER_HOUR as usize {
            found.opportunities.push(opportunity);
        } else {
            found.more += 1;
        }
    }
}
