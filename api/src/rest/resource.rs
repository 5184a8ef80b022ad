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
    resource::{Asset, Resource, ResourceBody, ResourceCommand, ResourceKind, ResourceName, Tags},
    value::DocumentId,
};
use projections::workspace::{Group, Kept};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Rest,
    extract::{Asked, Named, Sent, conditions, invalid},
    settled::{Listed, Settled, not_found, place, settled, shown, size, workspace},
};
use crate::{http::problem::Problem, identity::Identity, owned};

/// What a resource is to hold.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResourceInput {
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
pub(super) struct ResourceQuery {
    /// How many; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only those that are good for this.
    kind: Option<String>,
}

impl ResourceInput {
    fn into_asset(self) -> Result<Asset, Problem> {
        Ok(Asset {
            name: ResourceName::try_new(&self.name).map_err(|reason| invalid("name", &reason))?,
            kind: ResourceKind::parse(&self.kind).map_err(|reason| invalid("kind", &reason))?,
            body: ResourceBody::try_new(&self.body).map_err(|reason| invalid("body", &reason))?,
            tags: Tags::try_new(self.tags).map_err(|reason| invalid("tags", &reason))?,
            document_id: self.document_id.map(DocumentId::new),
        })
    }

    /// The request as its idempotency key remembers it.
    fn asked(&self, what: &str) -> String {
        serde_json::to_string(self).map(|body| format!("{what} {body}")).unwrap_or_default()
    }
}

impl ResourceView {
    fn of(id: String, kept: Kept<Resource>) -> Option<Self> {
        let asset = kept.state.asset()?.clone();
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
#[utoipa::path(get, path = "/api/v1/resources", tag = "resources", params(ResourceQuery), responses(
    (status = 200, body = Listed<ResourceView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Asked(query): Asked<ResourceQuery>,
) -> Result<axum::Json<Listed<ResourceView>>, Problem> {
    let tenant = owned::reader(&identity)?;
    let (first, after) = (size(query.first)?, place(query.after.as_deref())?);
    let kind =
        query.kind.map(|kind| ResourceKind::parse(&kind)).transpose().map_err(|reason| invalid("kind", &reason))?;
    let group = kind.map_or_else(Group::all, |kind| Group::status(kind.name()));
    let page = workspace(&rest.stores, &headers).await?.list(tenant, &group, first, after.as_ref()).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|(_, cursor, _)| cursor.to_string());
    let total = page.total;
    let items = page.items.into_iter().filter_map(|(id, _, kept)| ResourceView::of(id, kept)).collect();
    Ok(axum::Json(Listed { items, next, total }))
}

/// One resource of the caller's company.
#[utoipa::path(get, path = "/api/v1/resources/{id}", tag = "resources", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ResourceView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn one(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let tenant = owned::reader(&identity)?;
    let id = id.to_string();
    let found = workspace(&rest.stores, &headers).await?.get(tenant, &id).await?;
    let view = found.and_then(|kept| ResourceView::of(id, kept)).ok_or_else(not_found)?;
    Ok(shown(&headers, view.version, view))
}

/// Keeps something to use again; contributors may.
#[utoipa::path(post, path = "/api/v1/resources", tag = "resources", request_body = ResourceInput,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = Settled), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Sent(input): Sent<ResourceInput>,
) -> Result<Response, Problem> {
    let conditions = conditions(&headers, &input.asked("POST /api/v1/resources"))?;
    let id = owned::new_id(&identity, "resource", None, &conditions);
    let asset = input.into_asset()?;
    let create = |stamp| ResourceCommand::Create { asset, stamp };
    let done = owned::give::<Resource>(&rest.stores, &identity, &id, &conditions, create).await?;
    let (stream, version, repeated) = (done.aggregate_id, done.version, done.repeated);
    let body = Settled { id: id.to_string(), version, repeated };
    settled(&rest.stores, StatusCode::CREATED, Resource::TYPE, &stream, body).await
}

/// Lets a resource hold something else; contributors may.
#[utoipa::path(put, path = "/api/v1/resources/{id}", tag = "resources", request_body = ResourceInput,
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Settled), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
    Sent(input): Sent<ResourceInput>,
) -> Result<Response, Problem> {
    let conditions = conditions(&headers, &input.asked(&format!("PUT /api/v1/resources/{id}")))?;
    let asset = input.into_asset()?;
    let update = |stamp| ResourceCommand::Update { asset, stamp };
    let done = owned::give::<Resource>(&rest.stores, &identity, &id, &conditions, update).await?;
    let (stream, version, repeated) = (done.aggregate_id, done.version, done.repeated);
    let body = Settled { id: id.to_string(), version, repeated };
    settled(&rest.stores, StatusCode::OK, Resource::TYPE, &stream, body).await
}

/// Does away with a resource for good; managers may.
#[utoipa::path(delete, path = "/api/v1/resources/{id}", tag = "resources",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn delete(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let conditions = conditions(&headers, &format!("DELETE /api/v1/resources/{id}"))?;
    let delete = |stamp| ResourceCommand::Delete { stamp };
    let done = owned::give::<Resource>(&rest.stores, &identity, &id, &conditions, delete).await?;
    let body = Settled { id: id.to_string(), version: done.version, repeated: done.repeated };
    settled(&rest.stores, StatusCode::NO_CONTENT, Resource::TYPE, &done.aggregate_id, body).await
}
