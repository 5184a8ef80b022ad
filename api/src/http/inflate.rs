//! Compressed requests: inflated within the limit of their bodies, or refused by name.
//!
//! What is inflated counts, so that a small request never becomes a big one; and nobody stores or reads compressed bytes
//! for plain ones.

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

/// What is done with compressed bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InflatePolicy {
    /// They are inflated, to so many bytes at most.
    UpTo(usize),
    /// They are refused: what is stored is what was sent.
    Never,
}

/// Bodies up to this long are inflated where they came in, in bytes; longer ones on a thread that may take its time.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// What is inflated at a time, in bytes.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A compression that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentCoding {
    Gzip,
    Deflate,
}

/// Why a body is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum InflateError {
    #[error("the content encoding is not taken here; send the body as it is{}", if *.inflates { ", or by gzip or deflate" } else { "" })]
    UnsupportedCoding { inflates: bool },
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error("the body is not what its content encoding says")]
    Corrupt,
    #[error(transparent)]
    MemoryExhausted(#[from] BodyMemoryExhausted),
}

type InflateHandler =
    fn(axum::extract::State<InflatePolicy>, Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;

/// The layer of a route.
pub(crate) fn inflate_layer(
    inflation: InflatePolicy,
) -> FromFnLayer<InflateHandler, InflatePolicy, (axum::extract::State<InflatePolicy>, Request)> {
    from_fn_with_state(inflation, |state, request, next| Box::pin(inflate_body(state, request, next)))
}

async fn inflate_body(
    axum::extract::State(inflation): axum::extract::State<InflatePolicy>,
    request: Request,
    next: Next,
) -> Response {
    let inflates = matches!(inflation, InflatePolicy::UpTo(_));
    match (content_coding(request.headers()), inflation) {
        (Ok(None), _) => next.run(request).await,
        (Ok(Some(coding)), InflatePolicy::UpTo(most)) => match inflate_request(request, coding, most).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(),
        },
        (Ok(Some(_)) | Err(()), _) => InflateError::UnsupportedCoding { inflates }.into_response(),
    }
}

/// How a body is compressed; an error where it is in a way that is not understood, or more than once.
fn content_coding(headers: &HeaderMap) -> Result<Option<ContentCoding>, ()> {
    let told = headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let mut found = None;
    for name in told.map(<[u8]>::trim_ascii) {
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

async fn inflate_request(request: Request, coding: ContentCoding, most: usize) -> Result<Request, InflateError> {
    let (mut parts, body) = request.into_parts();
    let share = parts.extensions.get::<BodyShare>().cloned();
    let packed = to_bytes(body, most).await.map_err(|_| InflateError::TooLong(most))?;
    let plain = if packed.len() <= MAX_INLINE_BYTES {
        decompress(&packed, coding, most, share.as_ref())
    } else {
        let unpacking = tokio::task::spawn_blocking(move || decompress(&packed, coding, most, share.as_ref()));
        unpacking.await.unwrap_or(Err(InflateError::Corrupt))
    }?;
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(plain.len()));
    Ok(Request::from_parts(parts, Body::from(plain)))
}

fn decompress(
    packed: &Bytes,
    coding: ContentCoding,
    most: usize,
    share: Option<&BodyShare>,
) -> Result<Vec<u8>, InflateError> {
    let unpacked = match coding {
        ContentCoding::Gzip => read_bounded(MultiGzDecoder::new(&**packed), most, share),
        // Some send the bare format by that name.
        ContentCoding::Deflate => match read_bounded(ZlibDecoder::new(&**packed), most, share) {
            Err(InflateError::Corrupt) => read_bounded(DeflateDecoder::new(&**packed), most, share),
            done => done,
        },
    };
    // A body of no bytes at all is one that was not compressed.
    if packed.is_empty() { Ok(vec![]) } else { unpacked }
}

/// Reads bit by bit, so that memory is asked for before it is taken.
fn read_bounded(mut source: impl Read, most: usize, share: Option<&BodyShare>) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    loop {
        let before = plain.len();
        let read = source.by_ref().take(CHUNK_BYTES).read_to_end(&mut plain).map_err(|_| InflateError::Corrupt)?;
        if plain.len() > most {
            return Err(InflateError::TooLong(most));
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
        let mut answer = Problem::new(status, code, self.to_string()).in_field("Content-Encoding").into_response();
        if let Self::UnsupportedCoding { inflates } = self {
            // What would be taken (RFC 7694, section 3).
            let taken = if inflates { "gzip, deflate" } else { "identity" };
            let name = HeaderName::from_static("accept-encoding");
            answer.headers_mut().insert(name, HeaderValue::from_static(taken));
        }
        answer
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
    fn codings_are_read_as_they_are_written() {
        assert_eq!(coding_of_lines(&[]), Ok(None));
        assert_eq!(coding_of_lines(&["identity"]), Ok(None));
        assert_eq!(coding_of_lines(&["GZip"]), Ok(Some(ContentCoding::Gzip)));
        assert_eq!(coding_of_lines(&["identity, deflate"]), Ok(Some(ContentCoding::Deflate)));
        for bad in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"], &["zstd"]] {
            assert_eq!(coding_of_lines(bad), Err(()), "{bad:?}");
        }
    }

    #[test]
    fn what_is_inflated_counts() {
        let bomb = gzip(&vec![0; 100_000]);
        assert!(bomb.len() < 1_000);
        assert_eq!(decompress(&bomb, ContentCoding::Gzip, 99_999, None), Err(InflateError::TooLong(99_999)));
        assert_eq!(decompress(&bomb, ContentCoding::Gzip, 100_000, None).unwrap().len(), 100_000);
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        assert_eq!(
            decompress(&Bytes::from_static(b"plain"), ContentCoding::Gzip, 100, None),
            Err(InflateError::Corrupt)
        );
        let cut = gzip(b"a body of some length").slice(..15);
        assert_eq!(decompress(&cut, ContentCoding::Gzip, 100, None), Err(InflateError::Corrupt));
        assert_eq!(decompress(&Bytes::new(), ContentCoding::Gzip, 100, None), Ok(vec![]));
    }

    #[test]
    fn deflate_is_read_in_both_forms() {
        use flate2::read::{DeflateEncoder, ZlibEncoder};
        let (mut zlib, mut bare) = (vec![], vec![]);
        ZlibEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut zlib).unwrap();
        DeflateEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut bare).unwrap();
        for packed in [zlib, bare] {
            assert_eq!(decompress(&packed.into(), ContentCoding::Deflate, 100, None).unwrap(), b"text");
        }
    }
}
