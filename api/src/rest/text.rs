//! `/api/v1/documents/{id}/text`: the text of a document, which a worker has read from its file.

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use cqrs_es::Aggregate;
use domain::document::{Document, DocumentCommand, Extraction, ExtractionMethod, Language, ObjectKey};
use futures::{StreamExt, stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Rest,
    extract::{Asked, Named, conditions, invalid, wrong},
    file_content::FileContent,
    settled::{Settled, not_found, settled, workspace},
    upload::{explain, in_time, refuse_encoded},
};
use crate::{
    http::problem::Problem,
    identity::Identity,
    objects::{ObjectOwner, Objects, StoreFailure, limit_slowness},
    owned,
};

/// The longest text that is taken, in bytes.
pub(super) const MOST_BYTES: usize = 20 << 20;

/// How a text was read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TextQuery {
    /// How many pages it is of.
    pages: u32,
    /// How it was read: `native`, `ocr` or `mixed`.
    method: String,
    /// The language that it is in, e.g. `en`, as far as is known.
    #[param(max_length = 20)]
    language: Option<String>,
}

/// Records the text of a document, which is the body in UTF-8. Machines with the scope `tasks` may; 20 MiB at most.
#[utoipa::path(put, path = "/api/v1/documents/{id}/text", tag = "documents",
    request_body(content = String, content_type = "text/plain"),
    params(("id" = Uuid, Path), TextQuery, ("If-Match" = Option<String>, Header),
    ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = Settled), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 412, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn record(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
    Asked(query): Asked<TextQuery>,
    body: Body,
) -> Result<Response, Problem> {
    // Before the text is taken in: nobody fills the disk with what they may not record.
    owned::works(&identity)?;
    if let Some(refused) = refuse_encoded(&headers) {
        return Ok(refused);
    }
    let method = ExtractionMethod::parse(&query.method).map_err(|reason| invalid("method", &reason))?;
    let language = query.language.as_deref().map(Language::try_new).transpose();
    let language = language.map_err(|reason| invalid("language", &reason))?;
    let body = read_whole(&rest.objects, body).await.map_err(|failure| explain(&failure))?;
    let text = std::str::from_utf8(&body).map_err(|error| wrong("body", format!("it is no UTF-8: {error}")))?;
    let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let whole = stream::iter([Ok::<Bytes, std::convert::Infallible>(body.clone())]);
    let owner = ObjectOwner { tenant: identity.tenant().clone(), document: id };
    let stored = rest.objects.put(&owner, whole, most_bytes()).await.map_err(|failure| explain(&failure))?;
    let asked = format!("PUT /api/v1/documents/{id}/text {} {} {}", stored.sha256, query.pages, query.method);
    let conditions = conditions(&headers, &asked)?;
    let text_key = ObjectKey::try_new(&stored.key).map_err(|reason| invalid("body", &reason))?;
    let text = Extraction { text_key, pages: query.pages, characters, method, language };
    in_time(async {
        let command = |stamp| DocumentCommand::RecordText { text, stamp };
        let done = owned::give::<Document>(&rest.stores, &identity, &id, &conditions, command).await?;
        let body = Settled { id: id.to_string(), version: done.version, repeated: done.repeated };
        settled(&rest.stores, StatusCode::OK, Document::TYPE, &done.aggregate_id, body).await
    })
    .await
}

fn most_bytes() -> u64 {
    u64::try_from(MOST_BYTES).unwrap_or(u64::MAX)
}

/// The whole body, which may take as long as it goes on.
async fn read_whole(objects: &Objects, body: Body) -> Result<Bytes, StoreFailure> {
    let mut body = limit_slowness(body.into_data_stream(), objects.progress());
    let mut whole = Vec::new();
    while let Some(part) = body.next().await {
        let part = part?;
        if whole.len() + part.len() > MOST_BYTES {
            return Err(StoreFailure::TooLong(most_bytes()));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
}

/// The text of a document, once it was read.
#[utoipa::path(get, path = "/api/v1/documents/{id}/text", tag = "documents", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The text", content_type = "text/plain"), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn shown(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let tenant = owned::reader(&identity)?;
    let found = workspace(&rest.stores, &headers).await?.get::<Document>(tenant, &id.to_string()).await?;
    let text = found.and_then(|kept| kept.state.reading()?.text.clone()).ok_or_else(not_found)?;
    // The key ends with the hash of what is in it.
    let tag = text.text_key.as_str().rsplit('/').next().unwrap_or_default();
    let media_type = "text/plain; charset=utf-8";
    FileContent { key: &text.text_key, tag, media_type, file_name: None }.answer(&rest.objects, &headers).await
}
