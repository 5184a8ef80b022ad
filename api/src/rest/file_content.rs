//! Answers with a file: under its name, in ranges, and only where the client does not have it yet.

use std::io::SeekFrom;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::document::ObjectKey;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::ReaderStream;

use super::{content_disposition, responses::not_found};
use crate::{http::problem::Problem, object_store::ObjectStore, tenant_commands::CommandFailure};

/// A file, and how it is shown.
pub(super) struct FileContent<'a> {
    /// Where it is held.
    pub(super) key: &'a ObjectKey,
    /// What tells it from others: its hash.
    pub(super) tag: &'a str,
    /// What kind of file it is.
    pub(super) media_type: &'a str,
    /// What it is called, where it is to be kept under that name.
    pub(super) file_name: Option<&'a str>,
}

impl FileContent<'_> {
    /// The file, or the part of it that is asked for; 304 where the client has it.
    pub(super) async fn respond(&self, objects: &ObjectStore, asked: &HeaderMap) -> Result<Response, Problem> {
        let away = |error: std::io::Error| Problem::from(CommandFailure::unavailable(&error));
        let mut file = objects.get(self.key.as_str()).await.map_err(away)?.ok_or_else(not_found)?;
        let length = file.metadata().await.map_err(away)?.len();
        let tag = format!("\"{}\"", self.tag);
        if matches_entity_tag(asked, header::IF_NONE_MATCH.as_str(), &tag) {
            let mut answer = StatusCode::NOT_MODIFIED.into_response();
            self.write_headers(answer.headers_mut(), &tag);
            return Ok(answer);
        }
        let mut answer = match requested_range(asked, &tag, length) {
            RequestedRange::All => stream_part(file, length, StatusCode::OK),
            RequestedRange::Part { first, last } => {
                file.seek(SeekFrom::Start(first)).await.map_err(away)?;
                let mut answer = stream_part(file, last - first + 1, StatusCode::PARTIAL_CONTENT);
                insert_header(answer.headers_mut(), header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
                answer
            }
            RequestedRange::Unsatisfiable => {
                let detail = format!("the file has {length} bytes, and none in that range");
                let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_NOT_SATISFIABLE", detail);
                let mut answer = problem.into_response();
                insert_header(answer.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{length}"));
                return Ok(answer);
            }
        };
        self.write_headers(answer.headers_mut(), &tag);
        insert_header(answer.headers_mut(), header::CONTENT_TYPE, self.media_type);
        Ok(answer)
    }

    fn write_headers(&self, headers: &mut HeaderMap, tag: &str) {
        insert_header(headers, header::ETAG, tag);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // Of one company and nobody else; asked about each time, since it may be deleted.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        // What others uploaded is never run by a browser as if it were ours.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        if let Some(name) = self.file_name {
            headers.insert(header::CONTENT_DISPOSITION, content_disposition::attachment_header(name));
        }
    }
}

fn stream_part(file: File, length: u64, status: StatusCode) -> Response {
    let body = Body::from_stream(ReaderStream::new(file.take(length)));
    let mut answer = (status, body).into_response();
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

fn insert_header(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedRange {
    All,
    Part {
        first: u64,
        last: u64,
    },
    /// A range in which there is nothing.
    Unsatisfiable,
}

/// Which range is asked for (RFC 9110, section 14). Several at once, and what is no range, are all of it: whoever asks
/// for a range has to be ready for that.
fn requested_range(asked: &HeaderMap, tag: &str, length: u64) -> RequestedRange {
    // A part of another file than the client has is of no use to it.
    if asked.contains_key(header::IF_RANGE) && header_text(asked, header::IF_RANGE.as_str()) != Some(tag) {
        return RequestedRange::All;
    }
    let range = header_text(asked, header::RANGE.as_str()).and_then(|range| {
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
        // The last so many bytes.
        (Err(_), Ok(0)) if first.is_empty() => return RequestedRange::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), end),
        _ => return RequestedRange::All,
    };
    if first < length { RequestedRange::Part { first, last } } else { RequestedRange::Unsatisfiable }
}

/// Whether a list of entity tags has that one, or all; the weak form of one is as good where nothing is changed.
fn matches_entity_tag(asked: &HeaderMap, name: &str, tag: &str) -> bool {
    let lists = asked.get_all(name).iter().filter_map(|list| list.to_str().ok());
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
        let named = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        named.collect()
    }

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        let range = |range: &str| requested_range(&header_map(&[("range", range)]), TAG, 100);
        let part = |first, last| RequestedRange::Part { first, last };
        for (asked, expected) in [
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
            assert_eq!(range(asked), expected, "{asked}");
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
    fn a_client_that_has_the_file_is_recognised() {
        for (listed, expected) in
            [(TAG, true), ("*", true), ("W/\"abc\"", true), ("\"x\", \"abc\"", true), ("\"x\"", false), ("abc", false)]
        {
            let asked = header_map(&[("if-none-match", listed)]);
            assert_eq!(matches_entity_tag(&asked, "if-none-match", TAG), expected, "{listed}");
        }
    }
}
