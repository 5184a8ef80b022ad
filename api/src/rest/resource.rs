//! `/api/v1/resources`: what a company reuses in its proposals.

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use domain::{
    resource::{Resource, ResourceBody, ResourceCommand, ResourceContent, ResourceKind, ResourceName, ResourceTags},
    value::DocumentId,
};
use projections::tenant_views::{ListGroup, StoredAggregate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    RestRequest,
    extractors::{PathId, ValidJson, ValidQuery, invalid_value, read_preconditions},
    responses::{ChangeResponse, ListResponse},
    tenant_object::{ObjectView, PageParams, change_object, get_object, list_objects},
};
use crate::{http::problem::Problem, tenant_commands};

/// Content of a resource.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ResourceInput)]
pub(super) struct ResourceRequest {
    /// Name of the resource.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Kind: `past_performance`, `capability_statement`, `boilerplate`, `certification`, `resume`, `price_list` or
    /// `other`.
    kind: String,
    /// Text of the resource.
    #[schema(min_length = 1, max_length = 100_000)]
    body: String,
    /// Search tags: lower-case letters, digits and hyphens.
    #[serde(default)]
    #[schema(max_items = 20)]
    tags: Vec<String>,
    /// The document that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_id: Option<Uuid>,
}

/// A resource of a company.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceView {
    /// Id of the resource.
    id: String,
    /// Version: the number of recorded changes; also the `ETag`.
    version: u64,
    /// Name of the resource.
    name: String,
    /// Kind of the resource.
    kind: String,
    /// Text of the resource.
    body: String,
    /// Search tags.
    tags: Vec<String>,
    /// The document that it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<String>,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// Who created it.
    created_by: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Who last changed it.
    updated_by: String,
}

/// Selects a page of resources.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceListParams {
    /// Entries on the page; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the previous page.
    after: Option<String>,
    /// Only resources of this kind.
    kind: Option<String>,
}

impl ResourceRequest {
    fn into_content(self) -> Result<ResourceContent, Problem> {
        Ok(ResourceContent {
            name: ResourceName::try_new(&self.name).map_err(|reason| invalid_value("name", &reason))?,
            kind: ResourceKind::parse(&self.kind).map_err(|reason| invalid_value("kind", &reason))?,
            body: ResourceBody::try_new(&self.body).map_err(|reason| invalid_value("body", &reason))?,
            tags: ResourceTags::try_new(self.tags).map_err(|reason| invalid_value("tags", &reason))?,
            document_id: self.document_id.map(DocumentId::new),
        })
    }

    /// The text of the request that its idempotency key is bound to.
    fn idempotency_text(&self, what: &str) -> String {
        serde_json::to_string(self).map(|body| format!("{what} {body}")).unwrap_or_default()
    }
}

impl ObjectView for ResourceView {
    type Aggregate = Resource;

    fn from_stored(id: String, stored: StoredAggregate<Resource>) -> Option<Self> {
        let content = stored.state.content()?.clone();
        Some(Self {
            id,
            version: stored.version,
            name: content.name.to_string(),
            kind: content.kind.to_string(),
            body: content.body.to_string(),
            tags: content.tags.iter().map(ToString::to_string).collect(),
            document_id: content.document_id.map(|id| id.to_string()),
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
        })
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Lists the resources of the caller's company, the newest first.
#[utoipa::path(get, path = "/api/v1/resources", tag = "resources", params(ResourceListParams), responses(
    (status = 200, body = ListResponse<ResourceView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_resources(
    RestRequest { rest, principal, headers }: RestRequest,
    ValidQuery(query): ValidQuery<ResourceListParams>,
) -> Result<axum::Json<ListResponse<ResourceView>>, Problem> {
    let kind = query
        .kind
        .map(|kind| ResourceKind::parse(&kind))
        .transpose()
        .map_err(|reason| invalid_value("kind", &reason))?;
    let group = kind.map_or_else(ListGroup::all, |kind| ListGroup::named(kind.name()));
    let page = PageParams { first: query.first, after: query.after.as_deref(), group };
    list_objects(&rest, &principal, &headers, page).await
}

/// Returns a resource of the caller's company.
#[utoipa::path(get, path = "/api/v1/resources/{id}", tag = "resources", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ResourceView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn get_resource(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    get_object::<ResourceView>(&rest, &principal, &headers, id).await
}

/// Creates a resource; requires the authority of a contributor.
#[utoipa::path(post, path = "/api/v1/resources", tag = "resources", request_body = ResourceRequest,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create_resource(
    RestRequest { rest, principal, headers }: RestRequest,
    ValidJson(input): ValidJson<ResourceRequest>,
) -> Result<Response, Problem> {
    let mut preconditions = read_preconditions(&headers, &input.idempotency_text("POST /api/v1/resources"))?;
    let id = tenant_commands::new_aggregate_id(&principal, "resource", None, &mut preconditions);
    let content = input.into_content()?;
    let create = |stamp| ResourceCommand::Create { content, stamp };
    change_object::<Resource>(&rest, &principal, id, &preconditions, StatusCode::CREATED, create).await
}

/// Replaces the content of a resource; requires the authority of a contributor.
#[utoipa::path(put, path = "/api/v1/resources/{id}", tag = "resources", request_body = ResourceRequest,
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update_resource(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
    ValidJson(input): ValidJson<ResourceRequest>,
) -> Result<Response, Problem> {
    let preconditions = read_preconditions(&headers, &input.idempotency_text(&format!("PUT /api/v1/resources/{id}")))?;
    let content = input.into_content()?;
    let update = |stamp| ResourceCommand::Update { content, stamp };
    change_object::<Resource>(&rest, &principal, id, &preconditions, StatusCode::OK, update).await
}

/// Deletes a resource permanently; requires the authority of a manager.
#[utoipa::path(delete, path = "/api/v1/resources/{id}", tag = "resources",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn delete_resource(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let preconditions = read_preconditions(&headers, &format!("DELETE /api/v1/resources/{id}"))?;
    let delete = |stamp| ResourceCommand::Delete { stamp };
    change_object::<Resource>(&rest, &principal, id, &preconditions, StatusCode::NO_CONTENT, delete).await
}
