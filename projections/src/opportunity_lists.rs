//! Lists of opportunities, their counts and figures, in `Postgres`: pages in every order by an index, and counts from
//! counters that change in the transaction of the row (ADR 47).
//!
//! | table of a generation's schema | what it holds |
//! | --- | --- |
//! | `generation` | one row, which every transaction that writes locks; whether the tables were ever complete |
//! | `opportunities` | the details of the current notice, its search terms and the sums of its awards |
//! | `awards` | the awards |
//! | `counters`, `triple_counters` | number of opportunities and awards by up to two values, and by three |
//! | `deferred_indexes`, `filled_changes` | the state of a filling |

mod copied_rows;
mod count;
mod counter;
mod facet;
mod generation_fill;
mod list_change;
mod list_cursor;
mod list_entry;
mod list_item;
mod list_request;
mod page;
mod page_query;
mod projection;
mod queries;
mod read_back;
mod search_terms;
mod selection;
mod statistics;
mod verify;
mod write;

pub use self::{
    facet::{FacetCount, FacetDimension},
    list_change::ListChange,
    list_cursor::{CursorOfAnotherOrder, InvalidOpportunityListCursor, OpportunityListCursor},
    list_item::{OpportunityItem, OpportunityPage, TotalCount},
    list_request::{OpportunityListRequest, OpportunityOrder},
    queries::OpportunityLists,
};
pub use crate::selection_stats::{AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals};
