//! Compressed requests: inflated within the limit of their bodies, or refused.
//!
//! The limit applies to the inflated body, so that a small request cannot become a large one; and compressed bytes are
//! never stored or parsed as plain ones.

use std::io::Read;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{FromFnLayer, Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{
    body_memory::{BodyMemoryExhausted, BodyShare},
    problem::Problem,
};

/// How a route handles compressed bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflatePolicy {
    /// Inflates them, to this many bytes at most.
    UpTo(usize),
    /// Refuses them: the body is stored as it was sent.
    Never,
}

/// Longest compressed body that is inflated on the async thread, in bytes; longer ones are inflated on a blocking
/// thread.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// Bytes that are inflated before memory is reserved for them.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A supported content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentCoding {
    Gzip,
    Deflate,
}

/// Why a compressed body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum InflateError {
    #[error("the content encoding is not supported here; send the body uncompressed{}", if *.inflates { ", or by gzip or deflate" } else { "" })]
    UnsupportedCoding { inflates: bool },
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error("the body does not match its content encoding")]
    Corrupt,
    #[error(transparent)]
    MemoryExhausted(#[from] BodyMemoryExhausted),
}

type InflateHandler =
    fn(axum::extract::State<InflatePolicy>, Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;

/// The layer that inflates or refuses compressed bodies of a route.
pub fn inflate_layer(
    policy: InflatePolicy,
) -> FromFnLayer<InflateHandler, InflatePolicy, (axum::extract::State<InflatePolicy>, Request)> {
    from_fn_with_state(policy, |state, request, next| Box::pin(inflate_body(state, request, next)))
}

async fn inflate_body(
    axum::extract::State(policy): axum::extract::State<InflatePolicy>,
    request: Request,
    next: Next,
) -> Response {
    let inflates = matches!(policy, InflatePolicy::UpTo(_));
    match (content_coding(request.headers()), policy) {
        (Ok(None), _) => next.run(request).await,
        (Ok(Some(coding)), InflatePolicy::UpTo(limit)) => match inflate_request(request, coding, limit).await {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        },
        (Ok(Some(_)) | Err(()), _) => InflateError::UnsupportedCoding { inflates }.into_response(),
    }
}

/// The content coding of a body; an error where it is not supported or there are several.
fn content_coding(headers: &HeaderMap) -> Result<Option<ContentCoding>, ()> {
    let encodings =
        headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let mut found = None;
    for name in encodings.map(<[u8]>::trim_ascii) {
        let coding = match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => ContentCoding::Gzip,
            b"deflate" => ContentCoding::Deflate,
            _ => return Err(()),
        };
        if found.replace(coding).is_some() {
            return Err(());
        }
    }
    Ok(found)
}

async fn inflate_request(request: Request, coding: ContentCoding, limit: usize) -> Result<Request, InflateError> {
    let (mut parts, body) = request.into_parts();
    let share = parts.extensions.get::<BodyShare>().cloned();
    let compressed = to_bytes(body, limit).await.map_err(|_| InflateError::TooLong(limit))?;
    let plain = if compressed.len() <= MAX_INLINE_BYTES {
        decompress(&compressed, coding, limit, share.as_ref())
    } else {
        let task = tokio::task::spawn_blocking(move || decompress(&compressed, coding, limit, share.as_ref()));
        task.await.unwrap_or(Err(InflateError::Corrupt))
    }?;
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(plain.len()));
    Ok(Request::from_parts(parts, Body::from(plain)))
}

fn decompress(
    compressed: &Bytes,
    coding: ContentCoding,
    limit: usize,
    share: Option<&BodyShare>,
) -> Result<Vec<u8>, InflateError> {
    let inflated = match coding {
        ContentCoding::Gzip => read_bounded(MultiGzDecoder::new(&**compressed), limit, share),
        // Some clients send raw DEFLATE data under this name.
        ContentCoding::Deflate => match read_bounded(ZlibDecoder::new(&**compressed), limit, share) {
            Err(InflateError::Corrupt) => read_bounded(DeflateDecoder::new(&**compressed), limit, share),
            result => result,
        },
    };
    // An empty body was not compressed.
    if compressed.is_empty() { Ok(vec![]) } else { inflated }
}

/// Reads in chunks, so that memory is reserved as it is used.
fn read_bounded(mut source: impl Read, limit: usize, share: Option<&BodyShare>) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    loop {
        let before = plain.len();
        let read = source.by_ref().take(CHUNK_BYTES).read_to_end(&mut plain).map_err(|_| InflateError::Corrupt)?;
        if plain.len() > limit {
            return Err(InflateError::TooLong(limit));
        }
        if read == 0 {
            return Ok(plain);
        }
        share.map_or(Ok(()), |share| share.reserve(plain.len() - before))?;
    }
}

impl IntoResponse for InflateError {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::UnsupportedCoding { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING"),
            Self::TooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
            Self::Corrupt => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
            Self::MemoryExhausted(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        };
        let mut response = Problem::new(status, code, self.to_string()).with_field("Content-Encoding").into_response();
        if let Self::UnsupportedCoding { inflates } = self {
            // Supported codings (RFC 7694, section 3).
            let accepted = if inflates { "gzip, deflate" } else { "identity" };
            let name = HeaderName::from_static("accept-encoding");
            response.headers_mut().insert(name, HeaderValue::from_static(accepted));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(vec![], Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap().into()
    }

    fn coding_of_lines(lines: &[&str]) -> Result<Option<ContentCoding>, ()> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CONTENT_ENCODING, line.parse().unwrap());
        }
        content_coding(&headers)
    }

    #[test]
    fn content_codings_are_parsed() {
        assert_eq!(coding_of_lines(&[]), Ok(None));
        assert_eq!(coding_of_lines(&["identity"]), Ok(None));
        assert_eq!(coding_of_lines(&["GZip"]), Ok(Some(ContentCoding::Gzip)));
        assert_eq!(coding_of_lines(&["identity, deflate"]), Ok(Some(ContentCoding::Deflate)));
        for bad in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"], &["zstd"]] {
            assert_eq!(coding_of_lines(bad), Err(()), "{bad:?}");
        }
    }

    #[test]
    fn the_limit_applies_to_the_inflated_body() {
        let bomb = gzip(&vec![0; 100_000]);
        assert!(bomb.len() < 1_000);
        assert_eq!(decompress(&bomb, ContentCoding::Gzip, 99_999, None), Err(InflateError::TooLong(99_999)));
        assert_eq!(decompress(&bomb, ContentCoding::Gzip, 100_000, None).unwrap().len(), 100_000);
    }

    #[test]
    fn a_body_that_does_not_match_its_coding_is_refused() {
        assert_eq!(
            decompress(&Bytes::from_static(b"plain"), ContentCoding::Gzip, 100, None),
            Err(InflateError::Corrupt)
        );
        let truncated = gzip(b"a body of some length").slice(..15);
        assert_eq!(decompress(&truncated, ContentCoding::Gzip, 100, None), Err(InflateError::Corrupt));
        assert_eq!(decompress(&Bytes::new(), ContentCoding::Gzip, 100, None), Ok(vec![]));
    }

    #[test]
    fn deflate_is_accepted_with_and_without_zlib_header() {
        use flate2::read::{DeflateEncoder, ZlibEncoder};
        let (mut zlib, mut bare) = (vec![], vec![]);
        ZlibEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut zlib).unwrap();
        DeflateEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut bare).unwrap();
        for compressed in [zlib, bare] {
            assert_eq!(decompress(&compressed.into(), ContentCoding::Deflate, 100, None).unwrap(), b"text");
        }
    }
}
