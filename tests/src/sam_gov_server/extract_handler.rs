//! The daily extract, with conditional and partial requests.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Response},
};

use super::{ExtractFault, ReceivedRequest, SharedState, api_handler::answer, partial_body};

/// Serves the extract, or the rest of it.
pub(super) async fn download(State(state): State<SharedState>, headers: HeaderMap) -> Response<Body> {
    ReceivedRequest::record(&state, "/extract.csv", BTreeMap::new(), &headers);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let fault = state.lock().unwrap().extract_faults.pop_front();
    let mut cut_after = None;
    match fault {
        Some(ExtractFault::Answer(status, headers, body)) => return answer(status, &headers, Body::from(body)),
        Some(ExtractFault::BreakAfter(bytes)) => cut_after = Some((bytes, false)),
        Some(ExtractFault::StallAfter(bytes)) => cut_after = Some((bytes, true)),
        Some(ExtractFault::Change(extract, etag)) => state.lock().unwrap().extract = (extract, etag.to_owned()),
        None => {}
    }
    let (bytes, etag) = state.lock().unwrap().extract.clone();
    if !etag.is_empty() && header("if-none-match") == etag {
        return answer(304, &[("etag", etag)], Body::empty());
    }
    let size = bytes.len();
    let start = header("range").strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
    let (status, start) = match start {
        Some(start) if header("if-range") == etag => (206, start),
        Some(_) | None => (200, 0),
    };
    let rest = bytes.get(start..).unwrap_or_default().to_vec();
    let mut headers =
        vec![("etag", etag), ("content-length", rest.len().to_string()), ("content-type", "text/csv".to_owned())];
    if status == 206 {
        headers.push(("content-range", format!("bytes {start}-{}/{size}", size.saturating_sub(1))));
    }
    let body = match cut_after {
        Some((bytes, stalls)) => partial_body(rest.get(..bytes).unwrap_or(&rest).to_vec(), stalls),
        None => Body::from(rest),
    };
    answer(status, &headers, body)
}
