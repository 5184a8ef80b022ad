//! What a page of a list is asked for with: criteria, words, order and cursor.

use super::{CursorOfAnotherOrder, OpportunityItem, OpportunityListCursor, OpportunityPage, TotalCount};
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
    pub(super) has_total: bool,
    pub(super) has_descriptions: bool,
}

impl OpportunityListRequest {
    /// A request for at most `limit` opportunities after the cursor `after`, without their descriptions and without the
    /// number of opportunities in the whole list.
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
            _ => Ok(Self { criteria, text, order, after, limit, has_total: false, has_descriptions: false }),
        }
    }

    /// The same with the number of opportunities in the whole list.
    #[must_use]
    pub fn with_total(self) -> Self {
        Self { has_total: true, ..self }
    }

    /// The same with descriptions, which are longer than everything else that an item has.
    #[must_use]
    pub fn with_descriptions(self) -> Self {
        Self { has_descriptions: true, ..self }
    }

    /// The order of the list.
    pub fn order(&self) -> OpportunityOrder {
        self.order
    }

    /// The number of rows that are read: one more than the page has, to see whether another page follows.
    pub(super) fn wanted_rows(&self) -> usize {
        self.limit as usize + 1
    }

    /// The page of at most [`Self::wanted_rows`] items.
    pub(super) fn build_page(&self, mut items: Vec<OpportunityItem>, total: Option<TotalCount>) -> OpportunityPage {
        let limit = self.limit as usize;
        let has_next = items.len() > limit;
        items.truncate(limit);
        OpportunityPage { items, has_next, total }
    }
}
