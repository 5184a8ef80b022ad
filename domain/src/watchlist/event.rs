//! The events of a watchlist.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::saved_search::{SavedSearch, SearchId};
use crate::opportunity::OpportunityId;

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

impl DomainEvent for WatchlistEvent {
    fn event_type(&self) -> String {
        match self {
            Self::OpportunitySaved { .. } => "watchlist.opportunity_saved",
            Self::OpportunityUnsaved { .. } => "watchlist.opportunity_unsaved",
            Self::SearchSaved { .. } => "watchlist.search_saved",
            Self::SearchRemoved { .. } => "watchlist.search_removed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::OpportunitySaved { .. }
            | Self::OpportunityUnsaved { .. }
            | Self::SearchSaved { .. }
            | Self::SearchRemoved { .. } => "1.0",
        }
        .to_owned()
    }
}
