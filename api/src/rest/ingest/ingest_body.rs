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

/// Reads a body of `longest` bytes at most. One of more than 1 MiB needs a permit of `large` and is refused without
/// waiting where none is free.
pub(super) async fn read_ingest_body(
    body: Body,
    longest: usize,
    large: &Arc<Semaphore>,
) -> Result<IngestBody, BodyError> {
    let (mut bytes, mut permit) = (Vec::new(), None);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece: Bytes = piece.map_err(|_| {
            let reason = "the body was cut off, or is not encoded as declared";
            BodyError::Refused(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason))
        })?;
        let length = bytes.len() + piece.len();
        if length > longest {
            let reason = format!("the body is longer than {longest} bytes; send fewer events in one request");
            return Err(BodyError::Refused(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_INPUT", reason)));
        }
        if length > SMALL_BODY_BYTES && permit.is_none() {
            permit = Some(Arc::clone(large).try_acquire_owned().map_err(|_| BodyError::Busy)?);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(IngestBody { bytes, _permit: permit })
}

/// A body, with its permit where it is large.
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
    async fn a_body_is_bounded_and_large_ones_take_turns() {
        let large = Arc::new(Semaphore::new(1));
        let of = |size: usize| Body::from(vec![b' '; size]);
        assert_eq!(read_ingest_body(of(10), 10, &large).await.unwrap().bytes.len(), 10);
        assert!(matches!(read_ingest_body(of(11), 10, &large).await, Err(BodyError::Refused(_))));
        let first = read_ingest_body(of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await.unwrap();
        assert!(matches!(
            read_ingest_body(of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await,
            Err(BodyError::Busy)
        ));
        assert_eq!(
            read_ingest_body(of(SMALL_BODY_BYTES), 2 * SMALL_BODY_BYTES, &large).await.unwrap().bytes.len(),
            SMALL_BODY_BYTES,
            "a small one is read"
        );
        drop(first);
        assert!(read_ingest_body(of(SMALL_BODY_BYTES + 1), 2 * SMALL_BODY_BYTES, &large).await.is_ok());
    }

    #[test]
    fn json_and_beacons_are_taken() {
        for (kind, taken) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain;charset=UTF-8", true),
            ("application/vnd.api+json", true),
            ("application/x-www-form-urlencoded", false),
            ("text/html", false),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_json_or_text(&headers), taken, "{kind}");
        }
        assert!(is_json_or_text(&HeaderMap::new()));
    }
}
