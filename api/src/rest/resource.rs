//! `/api/v1/resources`: what a company keeps to use again in its proposals.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{
    resource::{Resource, ResourceBody, ResourceCommand, ResourceContent, ResourceKind, ResourceName, ResourceTags},
    value::DocumentId,
};
use projections::tenant_views::{ListGroup, StoredAggregate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    RestState,
    extractors::{PathId, ValidJson, ValidQuery, invalid_value, read_preconditions},
    responses::{
        ChangeResponse, ListResponse, change_response, consistent_tenant_views, not_found, page_size, parse_cursor,
        view_response,
    },
};
use crate::{auth::Principal, http::problem::Problem, tenant_commands};

/// What a resource is to hold.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ResourceInput)]
pub(super) struct ResourceRequest {
    /// What it is to be called.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it is good for: `past_performance`, `capability_statement`, `boilerplate`, `certification`, `resume`,
    /// `price_list` or `other`.
    kind: String,
    /// What it is to say.
    #[schema(min_length = 1, max_length = 100_000)]
    body: String,
    /// Words to find it by: lower-case letters, digits and hyphens.
    #[serde(default)]
    #[schema(max_items = 20)]
    tags: Vec<String>,
    /// The document that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_id: Option<Uuid>,
}

/// Something that a company keeps.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceView {
    /// Its id.
    id: String,
    /// How many changes are on record; also the `ETag`.
    version: u64,
    /// What it is called.
    name: String,
    /// What it is good for.
    kind: String,
    /// What it says.
    body: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// The document that it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Who made it.
    created_by: String,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
    /// Who changed it last.
    updated_by: String,
}

/// Which page of which resources.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceListParams {
    /// How many; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only those that are good for this.
    kind: Option<String>,
}

impl ResourceRequest {
    fn into_asset(self) -> Result<ResourceContent, Problem> {
        Ok(ResourceContent {
            name: ResourceName::try_new(&self.name).map_err(|reason| invalid_value("name", &reason))?,
            kind: ResourceKind::parse(&self.kind).map_err(|reason| invalid_value("kind", &reason))?,
            body: ResourceBody::try_new(&self.body).map_err(|reason| invalid_value("body", &reason))?,
            tags: ResourceTags::try_new(self.tags).map_err(|reason| invalid_value("tags", &reason))?,
            document_id: self.document_id.map(DocumentId::new),
        })
    }

    /// The request as its idempotency key remembers it.
    fn idempotency_text(&self, what: &str) -> String {
        serde_json::to_string(self).map(|body| format!("{what} {body}")).unwrap_or_default()
    }
}

impl ResourceView {
    fn from_stored(id: String, kept: StoredAggregate<Resource>) -> Option<Self> {
        let asset = kept.state.content()?.clone();
        Some(Self {
            id,
            version: kept.version,
            name: asset.name.to_string(),
            kind: asset.kind.to_string(),
            body: asset.body.to_string(),
            tags: asset.tags.iter().map(ToString::to_string).collect(),
            document_id: asset.document_id.map(|id| id.to_string()),
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
            updated_by: kept.updated_by,
        })
    }
}

/// The resources of the caller's company, the newest first.
#[utoipa::path(get, path = "/api/v1/resources", tag = "resources", params(ResourceListParams), responses(
    (status = 200, body = ListResponse<ResourceView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<ResourceListParams>,
) -> Result<axum::Json<ListResponse<ResourceView>>, Problem> {
    let tenant = tenant_commands::readable_tenant(&identity)?;
    let (first, after) = (page_size(query.first)?, parse_cursor(query.after.as_deref())?);
    let kind = query
        .kind
        .map(|kind| ResourceKind::parse(&kind))
        .transpose()
        .map_err(|reason| invalid_value("kind", &reason))?;
    let group = kind.map_or_else(ListGroup::all, |kind| ListGroup::status(kind.name()));
    let page = consistent_tenant_views(&rest.stores, &headers)
        .await?
        .list_aggregates(tenant, &group, first, after.as_ref())
        .await?;
    let next = page.items.last().filter(|_| page.has_more).map(|(_, cursor, _)| cursor.to_string());
    let total = page.total;
    let items = page.items.into_iter().filter_map(|(id, _, kept)| ResourceView::from_stored(id, kept)).collect();
    Ok(axum::Json(ListResponse { items, next, total }))
}

/// One resource of the caller's company.
#[utoipa::path(get, operation_id = "one", path = "/api/v1/resources/{id}", tag = "resources", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ResourceView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn get_resource(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(&identity)?;
    let id = id.to_string();
    let found = consistent_tenant_views(&rest.stores, &headers).await?.get(tenant, &id).await?;
    let view = found.and_then(|kept| ResourceView::from_stored(id, kept)).ok_or_else(not_found)?;
    Ok(view_response(&headers, view.version, view))
}

/// Keeps something to use again; contributors may.
#[utoipa::path(post, path = "/api/v1/resources", tag = "resources", request_body = ResourceRequest,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    ValidJson(input): ValidJson<ResourceRequest>,
) -> Result<Response, Problem> {
    let conditions = read_preconditions(&headers, &input.idempotency_text("POST /api/v1/resources"))?;
    let id = tenant_commands::new_id(&identity, "resource", None, &conditions);
    let asset = input.into_asset()?;
    let create = |stamp| ResourceCommand::Create { asset, stamp };
    let done = tenant_commands::dispatch::<Resource>(&rest.stores, &identity, &id, &conditions, create).await?;
    let (stream, version, repeated) = (done.aggregate_id, done.version, done.repeated);
    let body = ChangeResponse { id: id.to_string(), version, repeated };
    change_response(&rest.stores, StatusCode::CREATED, Resource::TYPE, &stream, body).await
}

/// Lets a resource hold something else; contributors may.
#[utoipa::path(put, path = "/api/v1/resources/{id}", tag = "resources", request_body = ResourceRequest,
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    PathId(id): PathId,
    ValidJson(input): ValidJson<ResourceRequest>,
) -> Result<Response, Problem> {
    let conditions = read_preconditions(&headers, &input.idempotency_text(&format!("PUT /api/v1/resources/{id}")))?;
    let asset = input.into_asset()?;
    let update = |stamp| ResourceCommand::Update { asset, stamp };
    let done = tenant_commands::dispatch::<Resource>(&rest.stores, &identity, &id, &conditions, update).await?;
    let (stream, version, repeated) = (done.aggregate_id, done.version, done.repeated);
    let body = ChangeResponse { id: id.to_string(), version, repeated };
    change_response(&rest.stores, StatusCode::OK, Resource::TYPE, &stream, body).await
}

/// Does away with a resource for good; managers may.
#[utoipa::path(delete, path = "/api/v1/resources/{id}", tag = "resources",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn delete(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let conditions = read_preconditions(&headers, &format!("DELETE /api/v1/resources/{id}"))?;
    let delete = |stamp| ResourceCommand::Delete { stamp };
    let done = tenant_commands::dispatch::<Resource>(&rest.stores, &identity, &id, &conditions, delete).await?;
    let body = ChangeResponse { id: id.to_string(), version: done.version, repeated: done.repeated };
    change_response(&rest.stores, StatusCode::NO_CONTENT, Resource::TYPE, &done.aggregate_id, body).await
}
