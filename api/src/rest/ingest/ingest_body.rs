//! Reads the body of a request with bounded memory.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;

/// Bodies up to this size are read without a permit.
const SMALL_BODY_BYTES: usize = 1 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The request is invalid.
    Refused(Problem),
    /// Too many large bodies are being read; the client may retry.
    Busy,
}

/// Whether the body is declared as JSON. `navigator.sendBeacon` can only declare text, or nothing.
pub(super) fn is_json_or_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "" | "application/json" | "text/plain")
        || essence.strip_prefix("application/").is_some_and(|rest| rest.ends_with("+json"))
}

/// Reads a body of `max_bytes` bytes at most. A body of more than 1 MiB needs a permit of `large_body_permits`, and is
/// refused at once if none is free.
pub(super) async fn read_ingest_body(
    body: Body,
    max_bytes: usize,
    large_body_permits: &Arc<Semaphore>,
) -> Result<IngestBody, BodyError> {
    let (mut bytes, mut permit) = (Vec::new(), None);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk.map_err(|_| {
            let reason = "the body is incomplete, or is not encoded as declared";
            BodyError::Refused(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason))
        })?;
        let length = bytes.len() + chunk.len();
        if length > max_bytes {
            let reason = format!("the body is longer than {max_bytes} bytes; send fewer events in one request");
            return Err(BodyError::Refused(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_INPUT", reason)));
        }
        if length > SMALL_BODY_BYTES && permit.is_none() {
            permit = Some(Arc::clone(large_body_permits).try_acquire_owned().map_err(|_| BodyError::Busy)?);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(IngestBody { bytes, _permit: permit })
}

/// A body, with its permit if it is large.
#[derive(Debug)]
pub(super) struct IngestBody {
    pub(super) bytes: Vec<u8>,
    _permit: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn the_length_of_bodies_and_the_number_of_large_ones_are_limited() {
        let large = Arc::new(Semaphore::new(1));
        let body_of = |size: usize| Body::from(vec![b' '; size]);
        assert_eq!(read_ingest_body(body_of(10), 10, &large).await.unwrap().bytes.len(), 10);
        assert!(matches!(read_ingest_body(body_of(11), 10, &large).await, Err(BodyError::Refused(_))));
        let first = read_ingest_body(body_of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await.unwrap();
        assert!(matches!(
            read_ingest_body(body_of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await,
            Err(BodyError::Busy)
        ));
        assert_eq!(
            read_ingest_body(body_of(SMALL_BODY_BYTES), 2 * SMALL_BODY_BYTES, &large).await.unwrap().bytes.len(),
            SMALL_BODY_BYTES,
            "a small body needs no permit"
        );
        drop(first);
        assert!(read_ingest_body(body_of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await.is_ok());
    }

    #[test]
    fn json_and_beacons_are_accepted() {
        for (kind, is_accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain;charset=UTF-8", true),
            ("application/vnd.api+json", true),
            ("application/x-www-form-urlencoded", false),
            ("text/html", false),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_json_or_text(&headers), is_accepted, "{kind}");
        }
        assert!(is_json_or_text(&HeaderMap::new()));
    }
}
