//! `/api/v1/documents`: files that a company uploads.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::{
    document::{Document, DocumentCommand, FileName, MAX_BYTES, MediaType, ObjectKey, Sha256, Upload},
    opportunity::OpportunityId,
};
use projections::workspace::{Group, Kept};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

use super::{
    Rest,
    extract::{Asked, Named, conditions, invalid, wrong},
    objects::StoreFailure,
    settled::{Listed, Settled, not_found, place, settled, shown, size, workspace},
};
use crate::{
    http::problem::Problem,
    identity::Identity,
    owned::{self, Undone},
};

/// What a file is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// What it is called, without folders.
    #[param(min_length = 1, max_length = 255)]
    file_name: String,
    /// The opportunity that it belongs to.
    opportunity_id: Option<String>,
}

/// Which page of the documents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentQuery {
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
    fn of(id: String, kept: Kept<Document>) -> Option<Self> {
        let reading = kept.state.reading()?;
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

/// Uploads a file, which is the body; `Content-Type` says what kind of file. Contributors may; 100 MiB at most.
#[utoipa::path(post, path = "/api/v1/documents", tag = "documents",
    request_body(content = String, content_type = "application/octet-stream"),
    params(UploadQuery, ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = Settled), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn upload(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Asked(query): Asked<UploadQuery>,
    body: Body,
) -> Result<Response, Problem> {
    // Before the file is taken in: nobody fills the disk with what they may not upload.
    owned::contributes(&identity)?;
    let file_name = FileName::try_new(&query.file_name).map_err(|reason| invalid("fileName", &reason))?;
    let id =
        |id: &String| OpportunityId::parse(id).ok_or_else(|| wrong("opportunityId", "department:number is expected"));
    let opportunity_id = query.opportunity_id.as_ref().map(id).transpose()?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = if essence.is_empty() { "application/octet-stream" } else { essence };
    let media_type = MediaType::try_new(essence).map_err(|reason| invalid("Content-Type", &reason))?;

    let stored = rest
        .objects
        .put(identity.tenant(), body.into_data_stream(), MAX_BYTES)
        .await
        .map_err(|failure| kept_not(&failure))?;
    let bytes = Upload::check_length(stored.bytes).map_err(|reason| invalid("body", &reason))?;
    let asked =
        format!("POST /api/v1/documents {file_name} {} {}", stored.sha256, query.opportunity_id.unwrap_or_default());
    let conditions = conditions(&headers, &asked)?;
    let upload = Upload {
        file_name,
        media_type,
        bytes,
        sha256: Sha256::try_new(&stored.sha256).map_err(|reason| invalid("body", &reason))?,
        object_key: ObjectKey::try_new(&stored.key).map_err(|reason| invalid("body", &reason))?,
        opportunity_id,
    };
    let id = owned::new_id(&identity, "document", None, &conditions);
    let upload = |stamp| DocumentCommand::Upload { upload, stamp };
    let done = owned::give::<Document>(&rest.stores, &identity, &id, &conditions, upload).await?;
    let body = Settled { id: id.to_string(), version: done.version, repeated: done.repeated };
    settled(&rest.stores, StatusCode::CREATED, Document::TYPE, &done.aggregate_id, body).await
}

pub(super) fn kept_not(failure: &StoreFailure) -> Problem {
    match failure {
        StoreFailure::TooLong(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", failure.to_string()),
        StoreFailure::Broken => Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", failure.to_string()),
        StoreFailure::Disk(_) => Undone::unavailable(failure).into(),
    }
}

/// The documents of the caller's company, the newest first.
#[utoipa::path(get, path = "/api/v1/documents", tag = "documents", params(DocumentQuery), responses(
    (status = 200, body = Listed<DocumentView>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Asked(query): Asked<DocumentQuery>,
) -> Result<Json<Listed<DocumentView>>, Problem> {
    let tenant = owned::reader(&identity)?;
    let (first, after) = (size(query.first)?, place(query.after.as_deref())?);
    let page = workspace(&rest.stores, &headers).await?.list(tenant, &Group::all(), first, after.as_ref()).await?;
    let next = page.items.last().filter(|_| page.has_more).map(|(_, cursor, _)| cursor.to_string());
    let total = page.total;
    let items = page.items.into_iter().filter_map(|(id, _, kept)| DocumentView::of(id, kept)).collect();
    Ok(Json(Listed { items, next, total }))
}

/// One document of the caller's company.
#[utoipa::path(get, path = "/api/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DocumentView), (status = 400, body = Problem), (status = 401, body = Problem),
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
    let view = found.and_then(|kept| DocumentView::of(id, kept)).ok_or_else(not_found)?;
    Ok(shown(view.version, view))
}

/// The file itself.
#[utoipa::path(get, path = "/api/v1/documents/{id}/content", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The file", content_type = "application/octet-stream"), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn content(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let tenant = owned::reader(&identity)?;
    let found = workspace(&rest.stores, &headers).await?.get::<Document>(tenant, &id.to_string()).await?;
    let upload =
        found.and_then(|kept| kept.state.reading().map(|reading| reading.upload.clone())).ok_or_else(not_found)?;
    // What others uploaded is never run by a browser as if it were ours.
    let mut answer = held(&rest, &upload.object_key, "application/octet-stream").await?;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(upload.bytes));
    Ok(answer)
}

/// What the store of files has under a key, as that kind of content and no other.
pub(super) async fn held(rest: &Rest, key: &ObjectKey, kind: &'static str) -> Result<Response, Problem> {
    let file = rest.objects.get(key.as_str()).await.map_err(|error| Problem::from(Undone::unavailable(&error)))?;
    let mut answer = Response::new(Body::from_stream(ReaderStream::new(file.ok_or_else(not_found)?)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(answer)
}

/// Does away with a document for good; managers may.
#[utoipa::path(delete, path = "/api/v1/documents/{id}", tag = "documents",
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
    let conditions = conditions(&headers, &format!("DELETE /api/v1/documents/{id}"))?;
    let delete = |stamp| DocumentCommand::Delete { stamp };
    let done = owned::give::<Document>(&rest.stores, &identity, &id, &conditions, delete).await?;
    let body = Settled { id: id.to_string(), version: done.version, repeated: done.repeated };
    settled(&rest.stores, StatusCode::NO_CONTENT, Document::TYPE, &done.aggregate_id, body).await
}
