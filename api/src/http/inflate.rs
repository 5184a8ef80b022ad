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
    body_memory::{BodyShare, NoMemory},
    problem::Problem,
};

/// What is done with compressed bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inflation {
    /// They are inflated, to so many bytes at most.
    UpTo(usize),
    /// They are refused: what is stored is what was sent.
    Never,
}

/// Bodies up to this long are inflated where they came in, in bytes; longer ones on a thread that may take its time.
const SHORT: usize = 16 * 1024;

/// What is inflated at a time, in bytes.
const PIECE: u64 = 64 * 1024;

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
    Broken,
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
}

type Handler =
    fn(axum::extract::State<Inflation>, Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>;

/// The layer of a route.
pub(crate) fn layer(
    inflation: Inflation,
) -> FromFnLayer<Handler, Inflation, (axum::extract::State<Inflation>, Request)> {
    from_fn_with_state(inflation, |state, request, next| Box::pin(inflate(state, request, next)))
}

async fn inflate(
    axum::extract::State(inflation): axum::extract::State<Inflation>,
    request: Request,
    next: Next,
) -> Response {
    let inflates = matches!(inflation, Inflation::UpTo(_));
    match (coding(request.headers()), inflation) {
        (Ok(None), _) => next.run(request).await,
        (Ok(Some(coding)), Inflation::UpTo(most)) => match inflated(request, coding, most).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(),
        },
        (Ok(Some(_)) | Err(()), _) => InflateError::UnsupportedCoding { inflates }.into_response(),
    }
}

/// How a body is compressed; an error where it is in a way that is not understood, or more than once.
fn coding(headers: &HeaderMap) -> Result<Option<ContentCoding>, ()> {
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

async fn inflated(request: Request, coding: ContentCoding, most: usize) -> Result<Request, InflateError> {
    let (mut parts, body) = request.into_parts();
    let share = parts.extensions.get::<BodyShare>().cloned();
    let packed = to_bytes(body, most).await.map_err(|_| InflateError::TooLong(most))?;
    let plain = if packed.len() <= SHORT {
        unpack(&packed, coding, most, share.as_ref())
    } else {
        let unpacking = tokio::task::spawn_blocking(move || unpack(&packed, coding, most, share.as_ref()));
        unpacking.await.unwrap_or(Err(InflateError::Broken))
    }?;
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(plain.len()));
    Ok(Request::from_parts(parts, Body::from(plain)))
}

fn unpack(
    packed: &Bytes,
    coding: ContentCoding,
    most: usize,
    share: Option<&BodyShare>,
) -> Result<Vec<u8>, InflateError> {
    let unpacked = match coding {
        ContentCoding::Gzip => read(MultiGzDecoder::new(&**packed), most, share),
        // Some send the bare format by that name.
        ContentCoding::Deflate => match read(ZlibDecoder::new(&**packed), most, share) {
            Err(InflateError::Broken) => read(DeflateDecoder::new(&**packed), most, share),
            done => done,
        },
    };
    // A body of no bytes at all is one that was not compressed.
    if packed.is_empty() { Ok(vec![]) } else { unpacked }
}

/// Reads bit by bit, so that memory is asked for before it is taken.
fn read(mut source: impl Read, most: usize, share: Option<&BodyShare>) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    loop {
        let before = plain.len();
        let read = source.by_ref().take(PIECE).read_to_end(&mut plain).map_err(|_| InflateError::Broken)?;
        if plain.len() > most {
            return Err(InflateError::TooLong(most));
        }
        if read == 0 {
            return Ok(plain);
        }
        share.map_or(Ok(()), |share| share.grow(plain.len() - before))?;
    }
}

impl IntoResponse for InflateError {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::UnsupportedCoding { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING"),
            Self::TooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
            Self::Broken => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
            Self::NoMemory(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
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

    fn of(lines: &[&str]) -> Result<Option<ContentCoding>, ()> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CONTENT_ENCODING, line.parse().unwrap());
        }
        coding(&headers)
    }

    #[test]
    fn codings_are_read_as_they_are_written() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["GZip"]), Ok(Some(ContentCoding::Gzip)));
        assert_eq!(of(&["identity, deflate"]), Ok(Some(ContentCoding::Deflate)));
        for bad in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"], &["zstd"]] {
            assert_eq!(of(bad), Err(()), "{bad:?}");
        }
    }

    #[test]
    fn what_is_inflated_counts() {
        let bomb = gzip(&vec![0; 100_000]);
        assert!(bomb.len() < 1_000);
        assert_eq!(unpack(&bomb, ContentCoding::Gzip, 99_999, None), Err(InflateError::TooLong(99_999)));
        assert_eq!(unpack(&bomb, ContentCoding::Gzip, 100_000, None).unwrap().len(), 100_000);
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        assert_eq!(unpack(&Bytes::from_static(b"plain"), ContentCoding::Gzip, 100, None), Err(InflateError::Broken));
        let cut = gzip(b"a body of some length").slice(..15);
        assert_eq!(unpack(&cut, ContentCoding::Gzip, 100, None), Err(InflateError::Broken));
        assert_eq!(unpack(&Bytes::new(), ContentCoding::Gzip, 100, None), Ok(vec![]));
    }

    #[test]
    fn deflate_is_read_in_both_forms() {
        use flate2::read::{DeflateEncoder, ZlibEncoder};
        let (mut zlib, mut bare) = (vec![], vec![]);
        ZlibEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut zlib).unwrap();
        DeflateEncoder::new(&b"text"[..], Compression::fast()).read_to_end(&mut bare).unwrap();
        for packed in [zlib, bare] {
            assert_eq!(unpack(&packed.into(), ContentCoding::Deflate, 100, None).unwrap(), b"text");
        }
    }
}
