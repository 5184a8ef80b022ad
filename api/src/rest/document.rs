//! `/api/v1/documents`: files that a company uploads.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::document::{Document, DocumentCommand};
use projections::tenant_views::{ListGroup, StoredAggregate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestState,
    extractors::{PathId, ValidQuery, read_preconditions},
    file_content::FileContent,
    media_type,
    responses::{
        ChangeResponse, ListResponse, change_response, consistent_tenant_views, not_found, page_size, parse_cursor,
        view_response,
    },
};
use crate::{
    auth::Principal,
    http::problem::Problem,
    object_store::ObjectOwner,
    tenant_commands::{self, CommandFailure},
};

/// Which page of the documents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentListParams {
    /// How many; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A file that somebody uploaded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentView {
    /// Its id.
    id: String,
    /// How many changes are on record; also the `ETag`.
    version: u64,
    /// How far it is: `uploaded`, `extracted`, `understood`, `analysed` or `failed`.
    status: String,
    /// What it is called.
    file_name: String,
    /// What kind of file it is.
    media_type: String,
    /// How long it is, in bytes.
    bytes: u64,
    /// Its SHA-256.
    sha256: String,
    /// The opportunity that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    opportunity_id: Option<String>,
    /// When it was uploaded.
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    created_by: String,
}

impl DocumentView {
    fn from_stored(id: String, kept: StoredAggregate<Document>) -> Option<Self> {
        let reading = kept.state.as_uploaded()?;
        Some(Self {
            id,
            version: kept.version,
            status: reading.status().to_string(),
            file_name: reading.upload.file_name.to_string(),
            media_type: reading.upload.media_type.to_string(),
            bytes: reading.upload.bytes,
            sha256: reading.upload.sha256.as_str().to_owned(),
            opportunity_id: reading.upload.opportunity_id.as_ref().map(ToString::to_string),
            created_at: kept.created_at,
            created_by: kept.created_by,
        })
    }
}

/// The documents of the caller's company, the newest first.
#[utoipa::path(get, path = "/api/v1/documents", tag = "documents", params(DocumentListParams), responses(
    (status = 200, body = ListResponse<DocumentView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<DocumentListParams>,
) -> Result<Json<ListResponse<DocumentView>>, Problem> {
    let tenant = tenant_commands::readable_tenant(&identity)?;
    let (first, after) = (page_size(query.first)?, parse_cursor(query.after.as_deref())?);
    let page = consistent_tenant_views(&rest.stores, &headers)
        .await?
        .list_aggregates(tenant, &ListGroup::all(), first, after.as_ref())
        .await?;
    let next = page.items.last().filter(|_| page.has_more).map(|(_, cursor, _)| cursor.to_string());
    let total = page.total;
    let items = page.items.into_iter().filter_map(|(id, _, kept)| DocumentView::from_stored(id, kept)).collect();
    Ok(Json(ListResponse { items, next, total }))
}

/// One document of the caller's company.
#[utoipa::path(get, operation_id = "one", path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DocumentView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn get_document(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(&identity)?;
    let id = id.to_string();
    let found = consistent_tenant_views(&rest.stores, &headers).await?.get(tenant, &id).await?;
    let view = found.and_then(|kept| DocumentView::from_stored(id, kept)).ok_or_else(not_found)?;
    Ok(view_response(&headers, view.version, view))
}

/// The file itself, under its name. `Range` asks for a part of it, `If-None-Match` for the file only where it is another.
#[utoipa::path(get, path = "/api/v1/documents/{id}/content", tag = "documents", params(("id" = Uuid, Path),
    ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The file", content_type = "*/*"),
    (status = 206, description = "The part of it that was asked for", content_type = "*/*"),
    (status = 304, description = "The client has it"), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn content(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(&identity)?;
    let id = id.to_string();
    let found = consistent_tenant_views(&rest.stores, &headers).await?.get::<Document>(tenant, &id).await?;
    let state = if let Some(kept) = found {
        kept.state
    } else {
        // Who has just uploaded it asks for it before the read model shows it: the log does.
        let known = rest.stores.dispatcher.load_aggregate::<Document>(tenant, &id).await;
        known.map_err(|error| CommandFailure::unavailable(&error))?.state
    };
    let upload = state.as_uploaded().map(|reading| reading.upload.clone()).ok_or_else(not_found)?;
    let content = FileContent {
        key: &upload.object_key,
        tag: upload.sha256.as_str(),
        media_type: media_type::served_media_type(upload.media_type.as_str()),
        file_name: Some(upload.file_name.as_str()),
    };
    content.respond(&rest.objects, &headers).await
}

/// Does away with a document for good; managers may.
#[utoipa::path(delete, path = "/api/v1/documents/{id}", tag = "documents",
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
    let conditions = read_preconditions(&headers, &format!("DELETE /api/v1/documents/{id}"))?;
    let delete = |stamp| DocumentCommand::Delete { stamp };
    let done = tenant_commands::dispatch::<Document>(&rest.stores, &identity, &id, &conditions, delete).await?;
    rest.objects.schedule_removal(ObjectOwner { tenant: identity.tenant().clone(), document: id });
    let body = ChangeResponse { id: id.to_string(), version: done.version, repeated: done.repeated };
    change_response(&rest.stores, StatusCode::NO_CONTENT, Document::TYPE, &done.aggregate_id, body).await
}
