//! Lists, reads and changes objects of the caller's company: what the REST resources have in common.

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use commands::precondition::CommandPreconditions;
use domain::value::AuditStamp;
use projections::tenant_views::{ListGroup, StoredAggregate, TenantAggregate};
use serde::Serialize;
use uuid::Uuid;

use super::{
    RestState,
    responses::{
        ChangeResponse, ListResponse, change_response, consistent_tenant_views, not_found, page_size, parse_cursor,
        view_response,
    },
};
use crate::{
    auth::Principal,
    http::{load_shedder::RequestPriority, problem::Problem},
    tenant_commands::{self, DataOwner, EdgeAggregate},
};

/// The representation of an object of a company.
pub(super) trait ObjectView: Serialize + Sized {
    /// The aggregate that is shown.
    type Aggregate: TenantAggregate;

    /// The representation of a stored aggregate; `None` if it does not exist or was deleted.
    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self>;

    /// The version, which is also the `ETag`.
    fn version(&self) -> u64;
}

/// Selects a page of a list.
pub(super) struct PageParams<'a> {
    /// Entries on the page; the default if `None`.
    pub(super) first: Option<u32>,
    /// `next` of the previous page.
    pub(super) after: Option<&'a str>,
    /// The entries to list.
    pub(super) group: ListGroup,
}

/// Lists a page of the objects of the caller's company, the newest first.
pub(super) async fn list_objects<V: ObjectView>(
    rest: &RestState,
    principal: &Principal,
    headers: &HeaderMap,
    page: PageParams<'_>,
) -> Result<Json<ListResponse<V>>, Problem> {
    let tenant = tenant_commands::readable_tenant(principal)?;
    let (first, after) = (page_size(page.first)?, parse_cursor(page.after)?);
    let views = consistent_tenant_views(&rest.app, headers).await?;
    let page = views.list_aggregates(tenant, &page.group, first, after.as_ref()).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|(_, cursor, _)| cursor.to_string());
    let items = page.items.into_iter().filter_map(|(id, _, stored)| V::from_stored(id, stored)).collect();
    Ok(Json(ListResponse { items, next, total: page.total }))
}

/// Returns an object of the caller's company.
pub(super) async fn get_object<V: ObjectView>(
    rest: &RestState,
    principal: &Principal,
    headers: &HeaderMap,
    id: Uuid,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(principal)?;
    let id = id.to_string();
    let found = consistent_tenant_views(&rest.app, headers).await?.get(tenant, &id).await?;
    let view = found.and_then(|stored| V::from_stored(id, stored)).ok_or_else(not_found)?;
    Ok(view_response(headers, view.version(), view))
}

/// Dispatches a command to an object of the caller's company; responds with its new version.
pub(super) async fn change_object<A: EdgeAggregate>(
    rest: &RestState,
    principal: &Principal,
    id: Uuid,
    preconditions: &CommandPreconditions,
    success: StatusCode,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<Response, Problem> {
    let _permit = rest.gate.begin_work(&principal.rate_limit_subject, RequestPriority::Command).await?;
    let (app, owner) = (&rest.app, DataOwner::Company);
    let outcome = tenant_commands::dispatch::<A>(app, principal, owner, &id, preconditions, command).await?;
    let body = ChangeResponse { id: id.to_string(), version: outcome.version, repeated: outcome.repeated };
    change_response(&rest.app, success, A::TYPE, &outcome.aggregate_id, body).await
}
