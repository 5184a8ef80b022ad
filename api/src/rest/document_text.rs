//! `/api/v1/documents/{id}/text`: the text of a document, which a worker has extracted from its file.

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::Response,
};
use domain::document::{Document, DocumentCommand, ExtractionMethod, LanguageTag, ObjectKey, TextExtraction};
use futures::{StreamExt, stream};
use objects::{ObjectOwner, ObjectStore, ObjectStoreError, enforce_progress};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    RestRequest,
    extractors::{PathId, ValidQuery, invalid_field, invalid_value, read_preconditions},
    file_content::FileContent,
    responses::{ChangeResponse, consistent_tenant_views, not_found},
    tenant_object::change_object,
    upload::{await_recording, reject_content_encoding, storage_problem},
};
use crate::{http::problem::Problem, tenant_commands};

/// Maximum length of a text, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 20 << 20;

/// How a text was extracted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentTextParams {
    /// Number of pages of the document.
    pages: u32,
    /// Extraction method: `native`, `ocr` or `mixed`.
    method: String,
    /// Language of the text, e.g. `en`, if known.
    #[param(max_length = 20)]
    language: Option<String>,
}

/// Records the text of a document. The body is the text in UTF-8, 20 MiB at most. Requires an API key with the scope
/// `tasks`.
#[utoipa::path(put, path = "/api/v1/documents/{id}/text", tag = "documents",
    request_body(content = String, content_type = "text/plain"),
    params(("id" = Uuid, Path), DocumentTextParams, ("If-Match" = Option<String>, Header),
    ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 412, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn record_document_text(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
    ValidQuery(query): ValidQuery<DocumentTextParams>,
    body: Body,
) -> Result<Response, Problem> {
    // Before the body is read: callers without permission to record must not fill the disk.
    tenant_commands::require_task_scope(&principal)?;
    if let Some(response) = reject_content_encoding(&headers) {
        return Ok(response);
    }
    let method = ExtractionMethod::parse(&query.method).map_err(|reason| invalid_value("method", &reason))?;
    let language = query.language.as_deref().map(LanguageTag::try_new).transpose();
    let language = language.map_err(|reason| invalid_value("language", &reason))?;
    let body = read_text_body(&rest.objects, body).await.map_err(|error| storage_problem(&error))?;
    let text =
        std::str::from_utf8(&body).map_err(|error| invalid_field("body", format!("it is not valid UTF-8: {error}")))?;
    let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let content = stream::iter([Ok::<Bytes, std::convert::Infallible>(body.clone())]);
    let owner = ObjectOwner { tenant: principal.tenant().clone(), document: id };
    let stored = rest.objects.put(&owner, content, max_text_bytes()).await.map_err(|error| storage_problem(&error))?;
    let request_text = format!("PUT /api/v1/documents/{id}/text {} {} {}", stored.sha256, query.pages, query.method);
    let preconditions = read_preconditions(&headers, &request_text)?;
    let text_key = ObjectKey::try_new(&stored.key).map_err(|reason| invalid_value("body", &reason))?;
    let text = TextExtraction { text_key, pages: query.pages, characters, method, language };
    let command = |stamp| DocumentCommand::RecordText { text, stamp };
    let recorded = change_object::<Document>(&rest, &principal, id, &preconditions, StatusCode::OK, command);
    await_recording(recorded).await
}

fn max_text_bytes() -> u64 {
    u64::try_from(MAX_TEXT_BYTES).unwrap_or(u64::MAX)
}

/// Reads the whole body, which may take as long as data arrives.
async fn read_text_body(objects: &ObjectStore, body: Body) -> Result<Bytes, ObjectStoreError> {
    let mut body = enforce_progress(body.into_data_stream(), objects.required_progress());
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        let part = part?;
        if bytes.len() + part.len() > MAX_TEXT_BYTES {
            return Err(ObjectStoreError::TooLong(max_text_bytes()));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// Returns the text of a document, once it has been extracted.
#[utoipa::path(get, path = "/api/v1/documents/{id}/text", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The text", content_type = "text/plain"), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn get_document_text(
    RestRequest { rest, principal, headers }: RestRequest,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = tenant_commands::readable_tenant(&principal)?;
    let found = consistent_tenant_views(&rest.app, &headers).await?.get::<Document>(tenant, &id.to_string()).await?;
    let text = found.and_then(|stored| stored.state.as_uploaded()?.text.clone()).ok_or_else(not_found)?;
    // The key ends with the hash of the content.
    let tag = text.text_key.as_str().rsplit('/').next().unwrap_or_default();
    let media_type = "text/plain; charset=utf-8";
    FileContent { key: &text.text_key, tag, media_type, file_name: None }.respond(&rest.objects, &headers).await
}
