//! `POST /api/v1/documents`: uploads a file, as the body or in a form.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    document::{Document, DocumentCommand, FileDigest, FileName, MAX_FILE_BYTES, MediaType, ObjectKey, UploadedFile},
    opportunity::OpportunityId,
};
use futures::{Stream, TryStreamExt};
use objects::{ObjectOwner, ObjectStore, ObjectStoreError, StoredObject, UploadBodyError, enforce_progress};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    RestRequest, content_disposition,
    extractors::{ValidQuery, invalid_field, invalid_value, read_preconditions},
    media_type,
    responses::ChangeResponse,
    tenant_object::change_object,
};
use crate::{
    http::problem::Problem,
    tenant_commands::{self, CommandFailure},
};

/// Time limit for recording a file that is already on disk.
pub(super) const RECORDING_TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum bytes of a form without its file, and of each of its fields.
const MAX_FORM_BYTES: u64 = 64 << 10;
const MAX_FIELD_BYTES: u64 = 2 << 10;

/// Describes an uploaded file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UploadParams {
    /// File name without folders; by default `filename*` or `filename` of `Content-Disposition`.
    #[param(min_length = 1, max_length = 255)]
    file_name: Option<String>,
    /// The opportunity that it belongs to; in a form it may be a field.
    opportunity_id: Option<String>,
}

/// Uploads a file of 100 MiB at most; requires the authority of a contributor. The file is the body, with its media
/// type in `Content-Type`, or the file of a form (`multipart/form-data`). The media type is recorded only if the first
/// bytes are consistent with it. An upload may take as long as 64 KiB arrive every 15 s.
#[utoipa::path(post, path = "/api/v1/documents", tag = "documents",
    request_body(content = String, content_type = "application/octet-stream"),
    params(UploadParams, ("Idempotency-Key" = Option<String>, Header), ("Content-Disposition" = Option<String>, Header)),
    responses((status = 201, body = ChangeResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn upload_document(
    RestRequest { rest, principal, headers }: RestRequest,
    ValidQuery(query): ValidQuery<UploadParams>,
    body: Body,
) -> Result<Response, Problem> {
    // Before the file is received: callers without permission to upload must not fill the disk.
    tenant_commands::require_contributor(&principal)?;
    if let Some(rejection) = reject_content_encoding(&headers) {
        return Ok(rejection);
    }
    let requested_name = query.file_name.as_deref().map(read_file_name).transpose()?;
    let opportunity_id = query.opportunity_id.as_deref().map(read_opportunity_id).transpose()?;
    let id = tenant_commands::new_id(&principal, "document", None, &read_preconditions(&headers, "")?);
    let owner = ObjectOwner { tenant: principal.tenant().clone(), document: id };
    let received = receive_file(&rest.objects, &owner, &headers, body).await?;

    let stored = received.stored;
    let bytes = UploadedFile::check_length(stored.bytes).map_err(|reason| invalid_value("body", &reason))?;
    let file_name = match (requested_name, received.file_name) {
        (Some(name), _) => name,
        (None, Some(name)) => read_file_name(&name)?,
        (None, None) => {
            return Err(invalid_field("fileName", "the file has no name: send fileName, or filename* in the form"));
        }
    };
    let opportunity_id = match (opportunity_id, received.opportunity_id) {
        (None, Some(id)) if !id.is_empty() => Some(read_opportunity_id(&id)?),
        (id, _) => id,
    };
    let media_type = media_type::resolve_media_type(&received.media_type, &stored.head);
    let opportunity_text = opportunity_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let request_text = format!("POST /api/v1/documents {file_name} {} {opportunity_text}", stored.sha256);
    let preconditions = read_preconditions(&headers, &request_text)?;
    let upload = UploadedFile {
        file_name,
        media_type: MediaType::try_new(&media_type).map_err(|reason| invalid_value("Content-Type", &reason))?,
        bytes,
        sha256: FileDigest::try_new(&stored.sha256).map_err(|reason| invalid_value("body", &reason))?,
        object_key: ObjectKey::try_new(&stored.key).map_err(|reason| invalid_value("body", &reason))?,
        opportunity_id,
    };
    // A file whose command is refused or whose outcome is unknown is removed by the sweeper.
    let upload = |stamp| DocumentCommand::Upload { upload, stamp };
    let recorded = change_object::<Document>(&rest, &principal, id, &preconditions, StatusCode::CREATED, upload);
    await_recording(recorded).await
}

/// Limits the time to record a received body: the request timeout does not apply to uploads.
pub(super) async fn await_recording(
    recording: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    let timed_out =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "recording the file timed out, try again");
    tokio::time::timeout(RECORDING_TIMEOUT, recording).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The problem for a file that could not be stored.
pub(super) fn storage_problem(error: &ObjectStoreError) -> Problem {
    let rejection = |status, code| Problem::new(status, code, error.to_string());
    match error {
        ObjectStoreError::TooLong(_) => rejection(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
        ObjectStoreError::Body(UploadBodyError::TooSlow { .. }) => rejection(StatusCode::REQUEST_TIMEOUT, "TOO_SLOW"),
        ObjectStoreError::Body(UploadBodyError::Interrupted) | ObjectStoreError::InvalidForm(_) => {
            rejection(StatusCode::BAD_REQUEST, "INVALID_INPUT")
        }
        ObjectStoreError::Io(_)
        | ObjectStoreError::Unavailable { .. }
        | ObjectStoreError::AccessDenied { .. }
        | ObjectStoreError::MissingBucket { .. }
        | ObjectStoreError::Removed => CommandFailure::unavailable(error).into(),
    }
}

/// Refuses a body with a content encoding: what would be stored is not the file.
pub(super) fn reject_content_encoding(headers: &HeaderMap) -> Option<Response> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = encodings.flat_map(|value| value.to_str().unwrap_or("unknown").split(','));
    let encoding = encodings.find(|encoding| !matches!(encoding.trim(), "" | "identity"))?.trim();
    let detail = format!("a file must be sent without Content-Encoding, not with {encoding:.40}");
    let mut rejection =
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail).into_response();
    rejection.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Some(rejection)
}

/// Why a form could not be read.
fn form_error(error: &multer::Error) -> ObjectStoreError {
    if let multer::Error::StreamReadFailed(source) = error {
        return source.downcast_ref::<UploadBodyError>().copied().unwrap_or(UploadBodyError::Interrupted).into();
    }
    if let multer::Error::StreamSizeExceeded { limit } = error {
        return ObjectStoreError::TooLong(*limit);
    }
    ObjectStoreError::InvalidForm(error.to_string())
}

/// A received file, and what was sent with it.
struct ReceivedFile {
    stored: StoredObject,
    file_name: Option<String>,
    media_type: String,
    opportunity_id: Option<String>,
}

async fn receive_file(
    objects: &ObjectStore,
    owner: &ObjectOwner,
    headers: &HeaderMap,
    body: Body,
) -> Result<ReceivedFile, Problem> {
    let body = enforce_progress(body.into_data_stream(), objects.required_progress());
    let content_type = header_text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type_essence(content_type);
    if essence == "multipart/form-data" {
        return receive_form(objects, owner, content_type, body).await;
    }
    if essence.starts_with("multipart/") {
        let detail = "send the file as the body, or in a form of the type multipart/form-data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail));
    }
    // Checked before anything is written: an invalid media type is the client's mistake.
    if !essence.is_empty() {
        MediaType::try_new(&essence).map_err(|reason| invalid_value("Content-Type", &reason))?;
    }
    let stored = objects.put(owner, body, MAX_FILE_BYTES).await.map_err(|error| storage_problem(&error))?;
    let file_name = headers.get(header::CONTENT_DISPOSITION).and_then(content_disposition::parse_file_name);
    Ok(ReceivedFile { stored, file_name, media_type: essence, opportunity_id: None })
}

async fn receive_form(
    objects: &ObjectStore,
    owner: &ObjectOwner,
    content_type: &str,
    body: impl Stream<Item = Result<axum::body::Bytes, UploadBodyError>> + Send + 'static,
) -> Result<ReceivedFile, Problem> {
    let failed = |error| storage_problem(&form_error(&error));
    let boundary = multer::parse_boundary(content_type).map_err(failed)?;
    let limits = multer::SizeLimit::new().whole_stream(MAX_FILE_BYTES + MAX_FORM_BYTES);
    let mut form = multer::Multipart::with_constraints(body, boundary, multer::Constraints::new().size_limit(limits));
    let (mut received, mut opportunity_id) = (None, None);
    while let Some(field) = form.next_field().await.map_err(failed)? {
        let disposition = field.headers().get(header::CONTENT_DISPOSITION);
        let file_name = disposition.and_then(content_disposition::parse_file_name);
        if file_name.is_some() || field.file_name().is_some() {
            if received.is_some() {
                return Err(invalid_field("body", "the form has several files: upload one file per request"));
            }
            let media_type = field.content_type().map(|kind| kind.essence_str().to_owned()).unwrap_or_default();
            let content = field.map_err(|error| form_error(&error));
            let stored = objects.put(owner, content, MAX_FILE_BYTES).await.map_err(|error| storage_problem(&error))?;
            received = Some(ReceivedFile { stored, file_name, media_type, opportunity_id: None });
        } else if field.name() == Some("opportunityId") {
            opportunity_id = Some(read_field(field).await?);
        }
    }
    let received = received.ok_or_else(|| invalid_field("body", "the form has no file"))?;
    Ok(ReceivedFile { opportunity_id, ..received })
}

/// Reads the text of a short field.
async fn read_field(mut field: multer::Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|error| storage_problem(&form_error(&error)))? {
        bytes.extend_from_slice(&part);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FIELD_BYTES {
            return Err(invalid_field("opportunityId", "the field is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid_field("opportunityId", "the field is not valid UTF-8"))
}

fn read_file_name(name: &str) -> Result<FileName, Problem> {
    FileName::try_new(name).map_err(|reason| invalid_value("fileName", &reason))
}

fn read_opportunity_id(id: &str) -> Result<OpportunityId, Problem> {
    OpportunityId::parse(id).ok_or_else(|| invalid_field("opportunityId", "department:number is expected"))
}

/// The media type without parameters such as the charset.
fn media_type_essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
