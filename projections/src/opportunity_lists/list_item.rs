//! An item of a list of opportunities, and a page of such a list.

use super::OpportunityListCursor;
use crate::listed_opportunity::ListedOpportunity;

/// A page of a list of opportunities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityPage {
    /// The items of the page, in the order of the list.
    pub items: Vec<OpportunityItem>,
    /// Whether another page follows.
    pub has_next: bool,
    /// Number of items in the whole list; `None` if the request does not ask for it.
    pub total: Option<TotalCount>,
}

/// A number of opportunities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalCount {
    /// The number.
    pub count: u64,
    /// Whether it is exact; otherwise there are at least as many.
    pub exact: bool,
}

/// An opportunity as an item of a list.
pub type OpportunityItem = ListedOpportunity<OpportunityListCursor>;
