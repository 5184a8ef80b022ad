//! What has happened to a watchlist.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::saved_search::{SavedSearch, SearchId};
use crate::opportunity::OpportunityId;

/// Something that happened to a watchlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchlistEvent {
    /// The user saved an opportunity.
    OpportunitySaved {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// The user no longer wants it saved.
    OpportunityUnsaved {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// The user saved a search, or changed a saved one.
    SearchSaved {
        /// Which search.
        search_id: SearchId,
        /// What it searches for from then on.
        search: SavedSearch,
        /// When.
        at: DateTime<Utc>,
    },
    /// The user no longer wants a search saved.
    SearchRemoved {
        /// Which search.
        search_id: SearchId,
        /// When.
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
