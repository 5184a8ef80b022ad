//! Objects of companies in queries: one by its id, now or at an earlier time, and lists of them.

use async_graphql::{Context, OutputType, Result};
use domain::value::TenantId;
use projections::{
    PointInTime,
    tenant_views::{ListCursor, ListGroup, StoredAggregate, TenantAggregate},
};
use uuid::Uuid;

use super::{
    error, history,
    pagination::{self, NodeConnection},
    read_models,
};

/// An object that shows an aggregate of a company.
pub(super) trait TenantNode: OutputType + Sized {
    /// The aggregate that is shown.
    type Aggregate: TenantAggregate;

    /// Shows a stored aggregate; `None` if it does not exist or was deleted.
    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self>;
}

/// Selects a page of a list.
pub(super) struct PageRequest {
    first: u32,
    after: Option<ListCursor>,
}

impl PageRequest {
    /// Validates the arguments of a list: at most 100 entries, 20 by default.
    pub(super) fn parse(first: Option<i32>, after: Option<String>) -> Result<Self> {
        let first = pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?;
        Ok(Self { first, after: pagination::parse_cursor(after)? })
    }

    /// Validates the arguments of a list of large entries: at most 20.
    pub(super) fn parse_small(first: Option<i32>, after: Option<String>) -> Result<Self> {
        Ok(Self { first: pagination::parse_small_page_size(first)?, after: pagination::parse_cursor(after)? })
    }
}

/// Loads an object of a company: its current state from Redis, or a past one from the log.
pub(super) async fn load_node<N: TenantNode>(
    ctx: &Context<'_>,
    tenant: &TenantId,
    id: Uuid,
    as_of: Option<impl Into<PointInTime>>,
) -> Result<Option<N>> {
    let id = id.to_string();
    let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
    Ok(found.and_then(|stored| N::from_stored(id, stored)))
}

/// Lists a page of the objects of a group, the newest first.
pub(super) async fn list_nodes<N: TenantNode>(
    ctx: &Context<'_>,
    tenant: &TenantId,
    group: &ListGroup,
    page: PageRequest,
) -> Result<NodeConnection<N>> {
    let tenant_views = read_models::from_context(ctx)?.tenant_views().await?;
    let found = tenant_views.list_aggregates(tenant, group, page.first, page.after.as_ref()).await;
    let found = found.map_err(|error| error::query_error(&error))?;
    Ok(NodeConnection::new(found, page.after.is_some(), N::from_stored))
}
