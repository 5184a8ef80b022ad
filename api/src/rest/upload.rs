//! `POST /api/v1/documents`: takes a file in, as the body or in a form.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cqrs_es::Aggregate;
use domain::{
    document::{Document, DocumentCommand, FileName, MAX_BYTES, MediaType, ObjectKey, Sha256, Upload},
    opportunity::OpportunityId,
};
use futures::Stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Rest, content_disposition,
    extract::{Asked, conditions, invalid, wrong},
    media_type,
    settled::{Settled, settled},
};
use crate::{
    http::problem::Problem,
    identity::Identity,
    objects::{BodyFailure, ObjectOwner, Objects, StoreFailure, StoredObject, limit_slowness},
    owned::{self, Undone},
};

/// How long it may take to put a file on record that is on the disk.
pub(super) const RECORDING: Duration = Duration::from_secs(15);

/// The most bytes of a form beside its file, and of each of its fields.
const FORM_BYTES: u64 = 64 << 10;
const FIELD_BYTES: u64 = 2 << 10;

/// What a file is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// What it is called, without folders; where it is left out, `filename*` or `filename` of `Content-Disposition` says it.
    #[param(min_length = 1, max_length = 255)]
    file_name: Option<String>,
    /// The opportunity that it belongs to; a form may have it as a field.
    opportunity_id: Option<String>,
}

/// Uploads a file; contributors may, 100 MiB at most. The file is the body and `Content-Type` says what kind of file it is,
/// or it is the file of a form (`multipart/form-data`). Its first bytes are looked at: a kind that they do not bear out is
/// not recorded. An upload may take as long as it goes on: 64 KiB have to come every 15 s.
#[utoipa::path(post, path = "/api/v1/documents", tag = "documents",
    request_body(content = String, content_type = "application/octet-stream"),
    params(UploadQuery, ("Idempotency-Key" = Option<String>, Header), ("Content-Disposition" = Option<String>, Header)),
    responses((status = 201, body = Settled), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn upload(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Asked(query): Asked<UploadQuery>,
    body: Body,
) -> Result<Response, Problem> {
    // Before the file is taken in: nobody fills the disk with what they may not upload.
    owned::contributes(&identity)?;
    if let Some(refused) = refuse_encoded(&headers) {
        return Ok(refused);
    }
    let named = query.file_name.as_deref().map(read_file_name).transpose()?;
    let opportunity_id = query.opportunity_id.as_deref().map(read_opportunity_id).transpose()?;
    let id = owned::new_id(&identity, "document", None, &conditions(&headers, "")?);
    let owner = ObjectOwner { tenant: identity.tenant().clone(), document: id };
    let received = receive(&rest.objects, &owner, &headers, body).await?;

    let stored = received.stored;
    let bytes = Upload::check_length(stored.bytes).map_err(|reason| invalid("body", &reason))?;
    let file_name = match (named, received.file_name) {
        (Some(named), _) => named,
        (None, Some(name)) => read_file_name(&name)?,
        (None, None) => return Err(wrong("fileName", "the file has no name: say fileName, or filename* in the form")),
    };
    let opportunity_id = match (opportunity_id, received.opportunity_id) {
        (None, Some(id)) if !id.is_empty() => Some(read_opportunity_id(&id)?),
        (id, _) => id,
    };
    let media_type = media_type::check(&received.media_type, &stored.head);
    let named_after = opportunity_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let asked = format!("POST /api/v1/documents {file_name} {} {named_after}", stored.sha256);
    let conditions = conditions(&headers, &asked)?;
    let upload = Upload {
        file_name,
        media_type: MediaType::try_new(&media_type).map_err(|reason| invalid("Content-Type", &reason))?,
        bytes,
        sha256: Sha256::try_new(&stored.sha256).map_err(|reason| invalid("body", &reason))?,
        object_key: ObjectKey::try_new(&stored.key).map_err(|reason| invalid("body", &reason))?,
        opportunity_id,
    };
    // A file that is refused now, or of which nobody knows, is removed by the sweep.
    in_time(async {
        let upload = |stamp| DocumentCommand::Upload { upload, stamp };
        let done = owned::give::<Document>(&rest.stores, &identity, &id, &conditions, upload).await?;
        let body = Settled { id: id.to_string(), version: done.version, repeated: done.repeated };
        settled(&rest.stores, StatusCode::CREATED, Document::TYPE, &done.aggregate_id, body).await
    })
    .await
}

/// Ends what takes too long, once a body is taken in: requests with long bodies have no other end.
pub(super) async fn in_time(recording: impl Future<Output = Result<Response, Problem>>) -> Result<Response, Problem> {
    let away = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "it took too long, try again");
    tokio::time::timeout(RECORDING, recording).await.unwrap_or_else(|_| Err(away()))
}

/// What came of a file that is not held.
pub(super) fn explain(failure: &StoreFailure) -> Problem {
    let refused = |status, code| Problem::new(status, code, failure.to_string());
    match failure {
        StoreFailure::TooLong(_) => refused(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
        StoreFailure::TooSlow { .. } => refused(StatusCode::REQUEST_TIMEOUT, "TOO_SLOW"),
        StoreFailure::Broken | StoreFailure::Form(_) => refused(StatusCode::BAD_REQUEST, "INVALID_INPUT"),
        StoreFailure::Disk(_) => Undone::unavailable(failure).into(),
    }
}

/// Refuses a body that is compressed for the way: what would be kept is not the file.
pub(super) fn refuse_encoded(headers: &HeaderMap) -> Option<Response> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = encodings.flat_map(|value| value.to_str().unwrap_or("unknown").split(','));
    let encoding = encodings.find(|encoding| !matches!(encoding.trim(), "" | "identity"))?.trim();
    let detail = format!("a file is taken as it is, and not with Content-Encoding {encoding:.40}");
    let mut refused =
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail).into_response();
    refused.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Some(refused)
}

/// A file that was taken in, and what came with it.
struct ReceivedFile {
    stored: StoredObject,
    file_name: Option<String>,
    media_type: String,
    opportunity_id: Option<String>,
}

async fn receive(
    objects: &Objects,
    owner: &ObjectOwner,
    headers: &HeaderMap,
    body: Body,
) -> Result<ReceivedFile, Problem> {
    let body = limit_slowness(body.into_data_stream(), objects.progress());
    let content_type = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let essence = essence(content_type);
    if essence == "multipart/form-data" {
        return receive_form(objects, owner, content_type, body).await;
    }
    if essence.starts_with("multipart/") {
        let detail = "a file is taken as the body, or in a form of the kind multipart/form-data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail));
    }
    // Before anything is written: what is no media type is the client's mistake.
    if !essence.is_empty() {
        MediaType::try_new(&essence).map_err(|reason| invalid("Content-Type", &reason))?;
    }
    let stored = objects.put(owner, body, MAX_BYTES).await.map_err(|failure| explain(&failure))?;
    let file_name = headers.get(header::CONTENT_DISPOSITION).and_then(content_disposition::file_name);
    Ok(ReceivedFile { stored, file_name, media_type: essence, opportunity_id: None })
}

async fn receive_form(
    objects: &Objects,
    owner: &ObjectOwner,
    content_type: &str,
    body: impl Stream<Item = Result<axum::body::Bytes, BodyFailure>> + Send + 'static,
) -> Result<ReceivedFile, Problem> {
    let failed = |error: multer::Error| explain(&error.into());
    let boundary = multer::parse_boundary(content_type).map_err(failed)?;
    let limits = multer::SizeLimit::new().whole_stream(MAX_BYTES + FORM_BYTES);
    let mut form = multer::Multipart::with_constraints(body, boundary, multer::Constraints::new().size_limit(limits));
    let (mut received, mut opportunity_id) = (None, None);
    while let Some(field) = form.next_field().await.map_err(failed)? {
        let disposition = field.headers().get(header::CONTENT_DISPOSITION);
        let file_name = disposition.and_then(content_disposition::file_name);
        if file_name.is_some() || field.file_name().is_some() {
            if received.is_some() {
                return Err(wrong("body", "the form has several files: upload them one by one"));
            }
            let media_type = field.content_type().map(|kind| kind.essence_str().to_owned()).unwrap_or_default();
            let stored = objects.put(owner, field, MAX_BYTES).await.map_err(|failure| explain(&failure))?;
            received = Some(ReceivedFile { stored, file_name, media_type, opportunity_id: None });
        } else if field.name() == Some("opportunityId") {
            opportunity_id = Some(read_field(field).await?);
        }
    }
    let received = received.ok_or_else(|| wrong("body", "the form has no file"))?;
    Ok(ReceivedFile { opportunity_id, ..received })
}

/// The text of a short field.
async fn read_field(mut field: multer::Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|error| explain(&error.into()))? {
        bytes.extend_from_slice(&part);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FIELD_BYTES {
            return Err(wrong("opportunityId", "the field is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("opportunityId", "the field is no UTF-8"))
}

fn read_file_name(name: &str) -> Result<FileName, Problem> {
    FileName::try_new(name).map_err(|reason| invalid("fileName", &reason))
}

fn read_opportunity_id(id: &str) -> Result<OpportunityId, Problem> {
    OpportunityId::parse(id).ok_or_else(|| wrong("opportunityId", "department:number is expected"))
}

/// The kind of content without what follows it, e.g. its charset.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
