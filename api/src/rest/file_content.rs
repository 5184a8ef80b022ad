//! Responses with a file: with its name, in ranges, or 304 if the client already has it.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::document::ObjectKey;
use objects::{ObjectReader, ObjectStore, ObjectStoreError};

use super::{content_disposition, responses::not_found};
use crate::{http::problem::Problem, tenant_commands::CommandFailure};

/// A file, and how it is presented.
pub(super) struct FileContent<'a> {
    /// Key in the object store.
    pub(super) key: &'a ObjectKey,
    /// Entity tag without quotes: the hash of the content.
    pub(super) tag: &'a str,
    pub(super) media_type: &'a str,
    /// Name under which clients save the file; `None` for content that is not saved.
    pub(super) file_name: Option<&'a str>,
}

impl FileContent<'_> {
    /// Responds with the file or the requested range, with 304 if the client already has it, or with 416 for a range
    /// outside
    /// of it.
    pub(super) async fn respond(&self, objects: &ObjectStore, headers: &HeaderMap) -> Result<Response, Problem> {
        let unavailable = |error: ObjectStoreError| Problem::from(CommandFailure::unavailable(&error));
        let file = objects.open(self.key.as_str()).await.map_err(unavailable)?.ok_or_else(not_found)?;
        let length = file.length();
        let tag = format!("\"{}\"", self.tag);
        if matches_entity_tag(headers, header::IF_NONE_MATCH.as_str(), &tag) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.write_headers(response.headers_mut(), &tag);
            return Ok(response);
        }
        let mut response = match requested_range(headers, &tag, length) {
            RequestedRange::All => stream_part(file, 0..length, StatusCode::OK).await.map_err(unavailable)?,
            RequestedRange::Part { first, last } => {
                let part = stream_part(file, first..last + 1, StatusCode::PARTIAL_CONTENT);
                let mut response = part.await.map_err(unavailable)?;
                insert_header(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
                response
            }
            RequestedRange::Unsatisfiable => {
                let detail = format!("the range is outside of the file, which has {length} bytes");
                let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_NOT_SATISFIABLE", detail);
                let mut response = problem.into_response();
                insert_header(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{length}"));
                return Ok(response);
            }
        };
        self.write_headers(response.headers_mut(), &tag);
        insert_header(response.headers_mut(), header::CONTENT_TYPE, self.media_type);
        Ok(response)
    }

    fn write_headers(&self, headers: &mut HeaderMap, tag: &str) {
        insert_header(headers, header::ETAG, tag);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // Private to a company; revalidated each time, since the file may be deleted.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        // Browsers must not run uploaded content with the origin of this site.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        if let Some(name) = self.file_name {
            headers.insert(header::CONTENT_DISPOSITION, content_disposition::attachment_header(name));
        }
    }
}

async fn stream_part(file: ObjectReader, range: Range<u64>, status: StatusCode) -> Result<Response, ObjectStoreError> {
    let length = range.end - range.start;
    let body = Body::from_stream(file.read(range).await?);
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn insert_header(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedRange {
    All,
    Part {
        first: u64,
        last: u64,
    },
    /// The range contains no byte of the file.
    Unsatisfiable,
}

/// Parses the range of a request (RFC 9110, section 14). Several ranges and invalid ones mean the whole file, which
/// clients that send a range must accept.
fn requested_range(headers: &HeaderMap, tag: &str, length: u64) -> RequestedRange {
    // A part of another version of the file is of no use to the client.
    if headers.contains_key(header::IF_RANGE) && header_text(headers, header::IF_RANGE.as_str()) != Some(tag) {
        return RequestedRange::All;
    }
    let range = header_text(headers, header::RANGE.as_str()).and_then(|range| {
        let (unit, range) = range.split_once('=')?;
        range.split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))
    });
    let Some((first, last)) = range.map(|(first, last)| (first.trim(), last.trim())) else {
        return RequestedRange::All;
    };
    let end = length.saturating_sub(1);
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        // Suffix range: the last bytes.
        (Err(_), Ok(0)) if first.is_empty() => return RequestedRange::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), end),
        _ => return RequestedRange::All,
    };
    if first < length { RequestedRange::Part { first, last } } else { RequestedRange::Unsatisfiable }
}

/// Whether a list of entity tags contains this one or `*`; weak comparison, as the request changes nothing.
fn matches_entity_tag(headers: &HeaderMap, name: &str, tag: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn header_map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let entries = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        entries.collect()
    }

    #[test]
    fn ranges_are_parsed_as_in_the_standard() {
        let range = |range: &str| requested_range(&header_map(&[("range", range)]), TAG, 100);
        let part = |first, last| RequestedRange::Part { first, last };
        for (requested, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("bytes=90-", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=50-1000", part(50, 99)),
            ("Bytes = 0 - 0", part(0, 0)),
            ("bytes=100-", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            ("bytes=9-0", RequestedRange::All),
            ("bytes=0-9,20-29", RequestedRange::All),
            ("bytes=a-b", RequestedRange::All),
            ("bytes=-", RequestedRange::All),
            ("lines=0-9", RequestedRange::All),
            ("bytes=0-99999999999999999999999", RequestedRange::All),
        ] {
            assert_eq!(range(requested), expected, "{requested}");
        }
        assert_eq!(requested_range(&header_map(&[("range", "bytes=0-9")]), TAG, 0), RequestedRange::Unsatisfiable);
        assert_eq!(requested_range(&HeaderMap::new(), TAG, 100), RequestedRange::All);
        for (tag, expected) in
            [(TAG, part(0, 9)), ("\"other\"", RequestedRange::All), ("W/\"abc\"", RequestedRange::All)]
        {
            assert_eq!(
                requested_range(&header_map(&[("range", "bytes=0-9"), ("if-range", tag)]), TAG, 100),
                expected,
                "{tag}"
            );
        }
    }

    #[test]
    fn the_entity_tag_of_a_cached_file_matches() {
        for (listed, expected) in
            [(TAG, true), ("*", true), ("W/\"abc\"", true), ("\"x\", \"abc\"", true), ("\"x\"", false), ("abc", false)]
        {
            let headers = header_map(&[("if-none-match", listed)]);
            assert_eq!(matches_entity_tag(&headers, "if-none-match", TAG), expected, "{listed}");
        }
    }
}
