//! `/api/v1/documents`: files that a company uploads.

use axum::{Json, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use domain::document::{Document, DocumentCommand};
use objects::ObjectOwner;
use projections::tenant_views::{ListGroup, StoredAggregate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestRequest,
    extractors::{PathId, ValidQuery, read_preconditions},
    file_content::FileContent,
    media_type,
    responses::{ListResponse, consistent_tenant_views, not_found},
    tenant_object::{ObjectView, PageParams, change_object, get_object, list_objects},
};
use crate::{
    http::problem::Problem,
    tenant_commands::{self, CommandFailure},
};

/// Selects a page of the documents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentListParams {
    /// Entries on the page; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the previous page.
    after: Option<String>,
}

/// An uploaded file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentView {
    /// Id of the document.
    id: String,
    /// Version: the number of recorded changes; also the `ETag`.
    version: u64,
    /// Processing status: `uploaded`, `extracted`, `understood`, `analysed` or `failed`.
    status: String,
    /// Name of the file.
    file_name: String,
    /// Media type of the file.
    media_type: String,
    /// Length of the file, in bytes.
    bytes: u64,
    /// SHA-256 of the file.
    sha256: String,
    /// The opportunity that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    opportunity_id: Option<String>,
    /// When it was uploaded.
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    created_by: String,
}

impl ObjectView for DocumentView {
    type Aggregate = Document;

    fn from_stored(id: String, stored: StoredAggregate<Document>) -> Option<Self> {
        let uploaded = stored.state.as_uploaded()?;
        Some(Self {
            id,
            version: stored.version,
            status: uploaded.status().to_string(),
            file_name: uploaded.upload.file_name.to_string(),
            media_type: uploaded.upload.media_type.to_string(),
            bytes: uploaded.upload.bytes,
            sha256: uploaded.upload.sha256.as_str().to_owned(),
            opportunity_id: uploaded.upload.opportunity_id.as_ref().map(ToString::to_string),
            created_at: stored.created_at,
            created_by: stored.created_by,
        })
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Lists the documents of the caller's company, the newest first.
#[utoipa::path(get, path = "/api/v1/documents", tag = "documents", params(DocumentListParams), responses(
    (status = 200, body = ListResponse<DocumentView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_documents(
    RestRequest { rest, principal, headers }: RestRequest,
    ValidQuery(query): ValidQuery<DocumentListParams>,
) -> Result<Json<ListResponse<DocumentView>>, Problem> {
    let page = PageParams { first: query.first, after: query.after.as_deref(), group: ListGroup::all() };
    list_objects(&rest, &principal, &headers, page).await
}

/// Returns a document of the caller's company.
#[utoipa::path(get, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DocumentView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn get_document(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    get_object::<DocumentView>(&rest, &principal, &headers, id).await
}

/// Downloads the file under its name. `Range` selects a part of it; `If-None-Match` avoids downloading an unchanged
/// file.
#[utoipa::path(get, path = "/api/v1/documents/{id}/content", tag = "documents", params(("id" = Uuid, Path),
    ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The file", content_type = "*/*"),
    (status = 206, description = "The requested part of the file", content_type = "*/*"),
    (status = 304, description = "Not modified"), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn get_document_content(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(&principal)?;
    let id = id.to_string();
    let found = consistent_tenant_views(&rest.app, &headers).await?.get::<Document>(tenant, &id).await?;
    let state = if let Some(stored) = found {
        stored.state
    } else {
        // Right after an upload the read model may not show the document yet: the event store does.
        let loaded = rest.app.dispatcher.load_aggregate::<Document>(tenant, &id).await;
        loaded.map_err(|error| CommandFailure::unavailable(&error))?.state
    };
    let upload = state.as_uploaded().map(|uploaded| uploaded.upload.clone()).ok_or_else(not_found)?;
    let content = FileContent {
        key: &upload.object_key,
        tag: upload.sha256.as_str(),
        media_type: media_type::served_media_type(upload.media_type.as_str()),
        file_name: Some(upload.file_name.as_str()),
    };
    content.respond(&rest.objects, &headers).await
}

/// Deletes a document permanently; requires the authority of a manager.
#[utoipa::path(delete, path = "/api/v1/documents/{id}", tag = "documents",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 412, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn delete_document(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let preconditions = read_preconditions(&headers, &format!("DELETE /api/v1/documents/{id}"))?;
    let delete = |stamp| DocumentCommand::Delete { stamp };
    let response =
        change_object::<Document>(&rest, &principal, id, &preconditions, StatusCode::NO_CONTENT, delete).await?;
    rest.objects.schedule_removal(ObjectOwner { tenant: principal.tenant().clone(), document: id });
    Ok(response)
}
