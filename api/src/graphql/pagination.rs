//! How much of a list one request may ask for.

use std::{borrow::Cow, str::FromStr};

use async_graphql::{OutputType, Result, SimpleObject, TypeName};
use projections::tenant_views::{AggregatePage, StoredAggregate};

use super::error::invalid_field;

/// Entries of a page where nothing is said.
pub(super) const DEFAULT_PAGE_SIZE: u32 = 20;
/// Entries of an answer to a search where nothing is said.
pub(super) const DEFAULT_HIT_COUNT: u32 = 10;
/// Most entries of a page.
pub(super) const MAX_PAGE_SIZE: u32 = 100;

/// The size of a page, `default` where nothing is said.
pub(super) fn parse_page_size(first: Option<i32>, default: u32) -> Result<u32> {
    match first.map(u32::try_from) {
        None => Ok(default),
        Some(Ok(first @ 1..=MAX_PAGE_SIZE)) => Ok(first),
        Some(_) => Err(invalid_field("first", format!("first is not between 1 and {MAX_PAGE_SIZE}"))),
    }
}

/// Where a page lies in the whole list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Whether entries follow behind this page.
    pub(super) has_next_page: bool,
    /// Whether entries were passed over to reach this page.
    pub(super) has_previous_page: bool,
    /// Cursor of the first entry.
    pub(super) start_cursor: Option<String>,
    /// Cursor of the last entry: `after` of the next page.
    pub(super) end_cursor: Option<String>,
}

/// One page of what a company owns, the newest first.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct NodeConnection<T: OutputType> {
    /// The entries of this page with their cursors.
    edges: Vec<NodeEdge<T>>,
    /// Where this page lies in the whole list.
    page_info: PageInfo,
    /// How many there are on all pages together.
    total_count: u64,
}

/// One entry of a page.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct NodeEdge<T: OutputType> {
    /// Where this entry stands; stays valid while the list grows and shrinks.
    cursor: String,
    /// The entry.
    node: T,
}

impl<T: OutputType> TypeName for NodeConnection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

impl<T: OutputType> TypeName for NodeEdge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

impl<T: OutputType> NodeConnection<T> {
    /// The page as clients see it; what has no view, as it is gone, is left out.
    pub(super) fn new<A>(
        page: AggregatePage<A>,
        continued: bool,
        view: impl Fn(String, StoredAggregate<A>) -> Option<T>,
    ) -> Self {
        let edges = page
            .items
            .into_iter()
            .filter_map(|(id, cursor, kept)| Some(NodeEdge { cursor: cursor.to_string(), node: view(id, kept)? }));
        let edges: Vec<_> = edges.collect();
        let page_info = PageInfo {
            has_next_page: page.has_more,
            has_previous_page: continued,
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Self { edges, page_info, total_count: page.total }
    }
}

/// The place that a cursor names. Relay and others send an empty one for the beginning.
pub(super) fn parse_cursor<T: FromStr>(after: Option<String>) -> Result<Option<T>> {
    let wrong = |_| invalid_field("after", "this is no cursor of ours".to_owned());
    after.filter(|after| !after.is_empty()).map(|after| after.parse().map_err(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_to_a_hundred_entries() {
        assert_eq!(parse_page_size(None, DEFAULT_PAGE_SIZE).unwrap(), 20);
        assert_eq!(parse_page_size(Some(100), DEFAULT_PAGE_SIZE).unwrap(), 100);
        for first in [0, -1, 101, i32::MIN] {
            assert_eq!(
                parse_page_size(Some(first), DEFAULT_PAGE_SIZE).unwrap_err().message,
                "first is not between 1 and 100"
            );
        }
    }
}
