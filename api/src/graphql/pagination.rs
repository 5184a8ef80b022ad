//! Page sizes, cursors and connections.

use std::{borrow::Cow, str::FromStr};

use async_graphql::{OutputType, Result, SimpleObject, TypeName};
use projections::tenant_views::{AggregatePage, StoredAggregate};

use super::error::invalid_field;
use crate::pagination::check_page_size;
pub(super) use crate::pagination::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE};

/// Default number of hits of a search.
pub(super) const DEFAULT_HIT_COUNT: u32 = 10;

/// Validates the size of a page; `default` if omitted.
pub(super) fn parse_page_size(first: Option<i32>, default: u32) -> Result<u32> {
    check_page_size(first, default)
        .map_err(|_| invalid_field("first", format!("first is not between 1 and {MAX_PAGE_SIZE}")))
}

/// Validates the size of a page of large entries; [`DEFAULT_PAGE_SIZE`] if omitted, and at most that.
pub(super) fn parse_small_page_size(first: Option<i32>) -> Result<u32> {
    match parse_page_size(first, DEFAULT_PAGE_SIZE) {
        Ok(first @ ..=DEFAULT_PAGE_SIZE) => Ok(first),
        Ok(_) | Err(_) => Err(invalid_field("first", format!("first is not between 1 and {DEFAULT_PAGE_SIZE}"))),
    }
}

/// Position of a page in a list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Whether entries follow after the page.
    pub(super) has_next_page: bool,
    /// Whether entries precede the page.
    pub(super) has_previous_page: bool,
    /// Cursor of the first entry.
    pub(super) start_cursor: Option<String>,
    /// Cursor of the last entry; pass it as `after` for the next page.
    pub(super) end_cursor: Option<String>,
}

/// A page of a company's objects, newest first.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct NodeConnection<T: OutputType> {
    /// The entries of the page with their cursors.
    edges: Vec<NodeEdge<T>>,
    /// Position of the page in the list.
    page_info: PageInfo,
    /// Number of entries over all pages.
    total_count: u64,
}

/// An entry of a page.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(super) struct NodeEdge<T: OutputType> {
    /// Cursor of the entry; stays valid while the list grows and shrinks.
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
    /// Converts a page; deleted entries, for which `view` returns `None`, are left out.
    pub(super) fn new<A>(
        page: AggregatePage<A>,
        continued: bool,
        view: impl Fn(String, StoredAggregate<A>) -> Option<T>,
    ) -> Self {
        let edges = page
            .items
            .into_iter()
            .filter_map(|(id, cursor, stored)| Some(NodeEdge { cursor: cursor.to_string(), node: view(id, stored)? }));
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

/// Parses a cursor. Clients such as Relay.js send an empty one for the first page.
pub(super) fn parse_cursor<T: FromStr>(after: Option<String>) -> Result<Option<T>> {
    let invalid = |_| invalid_field("after", "not a valid cursor".to_owned());
    after.filter(|after| !after.is_empty()).map(|after| after.parse().map_err(invalid)).transpose()
}
