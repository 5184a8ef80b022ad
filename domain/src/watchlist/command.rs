//! What can be asked of a watchlist.

use chrono::{DateTime, Utc};

use crate::opportunity::OpportunityId;

/// A wish about one user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Keep an opportunity in view.
    Save {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let go of it.
    Unsave {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
}
