//! The commands of a watchlist.

use chrono::{DateTime, Utc};

use super::saved_search::{SavedSearch, SearchId};
use crate::opportunity::OpportunityId;

/// A command for one user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Saves an opportunity.
    Save {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// Removes a saved opportunity.
    Unsave {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// Saves a search, or replaces a saved one.
    SaveSearch {
        /// The search's id.
        search_id: SearchId,
        /// The search.
        search: SavedSearch,
        /// When the user did it.
        at: DateTime<Utc>,
    },
    /// Removes a saved search.
    RemoveSearch {
        /// The search's id.
        search_id: SearchId,
        /// When the user did it.
        at: DateTime<Utc>,
    },
}
