//! The events of a watchlist.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::saved_search::{SavedSearch, SearchId};
use crate::{event_version::event_versions, opportunity::OpportunityId};

/// An event of a watchlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchlistEvent {
    /// The user saved an opportunity.
    OpportunitySaved {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// The user removed a saved opportunity.
    OpportunityUnsaved {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// The user saved a search or replaced a saved one.
    SearchSaved {
        /// The search's id.
        search_id: SearchId,
        /// The search.
        search: SavedSearch,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// The user removed a saved search.
    SearchRemoved {
        /// The search's id.
        search_id: SearchId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
}

event_versions! {
    WatchlistEvent {
        OpportunitySaved => "watchlist.opportunity_saved", "1.0";
        OpportunityUnsaved => "watchlist.opportunity_unsaved", "1.0";
        SearchSaved => "watchlist.search_saved", "1.0";
        SearchRemoved => "watchlist.search_removed", "1.0";
    }
}
