//! What a page of a list is asked for with: criteria, words, order and cursor.

use super::{CursorOfAnotherOrder, OpportunityListCursor};
use crate::OpportunityCriteria;

/// The order of a list. Opportunities without the value are last in every order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OpportunityOrder {
    /// Newest notice first.
    #[default]
    PostedNewest,
    /// Oldest notice first.
    PostedOldest,
    /// Earliest response deadline first.
    DeadlineSoonest,
    /// Latest response deadline first.
    DeadlineLatest,
    /// Highest sum of awards first.
    AmountHighest,
    /// Lowest sum of awards first.
    AmountLowest,
    /// Best match of the words first, the newest notice first among equals; without words as [`Self::PostedNewest`].
    /// The list ends after the best of the newest matches; their number is bounded.
    Relevance,
}

/// A request for one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityListRequest {
    pub(super) criteria: OpportunityCriteria,
    pub(super) text: Option<String>,
    pub(super) order: OpportunityOrder,
    pub(super) after: Option<OpportunityListCursor>,
    pub(super) limit: u32,
}

impl OpportunityListRequest {
    /// A request for at most `limit` opportunities after the cursor `after`.
    ///
    /// # Errors
    /// [`CursorOfAnotherOrder`] when the cursor is from a list in another order.
    pub fn try_new(
        criteria: OpportunityCriteria,
        text: Option<String>,
        order: OpportunityOrder,
        after: Option<OpportunityListCursor>,
        limit: u32,
    ) -> Result<Self, CursorOfAnotherOrder> {
        match &after {
            Some(cursor) if cursor.order() != order => {
                Err(CursorOfAnotherOrder { cursor: cursor.order(), list: order })
            }
            _ => Ok(Self { criteria, text, order, after, limit }),
        }
    }

    /// The order of the list.
    pub fn order(&self) -> OpportunityOrder {
        self.order
    }
}
