//! Turns what a running statement tells into an HTTP response, as ClickHouse words it.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::{
    body_compression, chdb_engine::StatementProgress, chdb_ffi::StatementCounters, exception::ClickHouseException,
    native_format,
};

/// Up to here a result is held back, so that a late failure still gets its own status (ClickHouse's default).
const BUFFERED_BYTES: usize = 1 << 20;

/// What is put around a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResultEncoding {
    /// Whether it goes out in blocks of ClickHouse's own.
    pub(super) in_blocks: bool,
    /// The protocol's revision that it is in, where its format is `Native`; 0 is none.
    pub(super) revision: u64,
}

impl ResultEncoding {
    /// A piece as it goes out.
    fn wrap(self, piece: Bytes) -> Result<Bytes, ClickHouseException> {
        let piece = if self.revision > 0 { native_format::with_revision(&piece, self.revision)?.into() } else { piece };
        Ok(self.pack(piece))
    }

    fn pack(self, piece: Bytes) -> Bytes {
        if self.in_blocks { body_compression::blocks(&piece) } else { piece }
    }
}

/// Builds the response, its body in blocks of ClickHouse's own if so asked; the headers of every answer are added by the
/// caller. A failure is told in plain words either way, as clients expect it.
pub(super) async fn respond(
    mut progress: Receiver<StatementProgress>,
    format: &str,
    wrapping: ResultEncoding,
) -> Response {
    let mut held = Vec::new();
    let mut length = 0;
    loop {
        match progress.recv().await {
            Some(StatementProgress::Chunk(piece)) => {
                length += piece.len();
                match wrapping.wrap(piece) {
                    Ok(piece) => held.push(piece),
                    Err(exception) => return exception.into_response(),
                }
                if length > BUFFERED_BYTES {
                    return streamed(held, progress, format, wrapping);
                }
            }
            Some(StatementProgress::Finished(tally, elapsed)) => return complete(&held, tally, elapsed, format),
            Some(StatementProgress::Failed(exception)) => return exception.into_response(),
            None => return ClickHouseException::from_engine("the statement's thread died", "").into_response(),
        }
    }
}

fn complete(held: &[Bytes], tally: StatementCounters, elapsed: Duration, format: &str) -> Response {
    let body = match held {
        [] => Bytes::new(),
        [piece] => piece.clone(),
        pieces => pieces.concat().into(),
    };
    let mut response = Response::new(Body::from(body));
    describe(response.headers_mut(), format);
    if let Ok(summary) = HeaderValue::from_str(&summary(tally, elapsed)) {
        response.headers_mut().insert("X-ClickHouse-Summary", summary);
    }
    response
}

fn streamed(
    held: Vec<Bytes>,
    progress: Receiver<StatementProgress>,
    format: &str,
    wrapping: ResultEncoding,
) -> Response {
    let tag = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let mut response = Response::new(Body::from_stream(pieces(held, progress, tag.clone(), wrapping)));
    describe(response.headers_mut(), format);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert("X-ClickHouse-Exception-Tag", tag);
    }
    response
}

/// A result that broke off: it ends the connection, so that no client takes what came for everything.
#[derive(Debug, thiserror::Error)]
#[error("the statement failed after a part of its result was sent")]
struct StreamAborted;

enum ResponseStreamState {
    Streaming(Receiver<StatementProgress>),
    Aborted,
    Finished,
}

fn pieces(
    held: Vec<Bytes>,
    progress: Receiver<StatementProgress>,
    tag: String,
    wrapping: ResultEncoding,
) -> impl Stream<Item = Result<Bytes, StreamAborted>> {
    let tail = stream::unfold(ResponseStreamState::Streaming(progress), move |tail| {
        let tag = tag.clone();
        async move {
            match tail {
                ResponseStreamState::Finished => None,
                ResponseStreamState::Aborted => {
                    // The words go out before the connection ends.
                    tokio::task::yield_now().await;
                    Some((Err(StreamAborted), ResponseStreamState::Finished))
                }
                ResponseStreamState::Streaming(mut progress) => match progress.recv().await {
                    Some(StatementProgress::Chunk(piece)) => match wrapping.wrap(piece) {
                        Ok(piece) => Some((Ok(piece), ResponseStreamState::Streaming(progress))),
                        Err(exception) => {
                            Some((Ok(wrapping.pack(late(&exception, &tag))), ResponseStreamState::Aborted))
                        }
                    },
                    Some(StatementProgress::Finished(..)) => None,
                    Some(StatementProgress::Failed(exception)) => {
                        Some((Ok(wrapping.pack(late(&exception, &tag))), ResponseStreamState::Aborted))
                    }
                    None => Some((Err(StreamAborted), ResponseStreamState::Finished)),
                },
            }
        }
    });
    futures::StreamExt::chain(stream::iter(held.into_iter().map(Ok)), tail)
}

/// The block that ClickHouse appends to a result when the statement fails halfway.
fn late(exception: &ClickHouseException, tag: &str) -> Bytes {
    let text = format!("{}\n", exception.text);
    format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len()).into()
}

fn describe(headers: &mut HeaderMap, format: &str) {
    headers.insert("Content-Type", HeaderValue::from_static(content_type(format)));
    if let Ok(format) = HeaderValue::from_str(format) {
        headers.insert("X-ClickHouse-Format", format);
    }
}

fn content_type(format: &str) -> &'static str {
    let format = format.to_ascii_lowercase();
    match format.as_str() {
        "json" | "jsoncompact" | "jsonstrings" | "jsoncompactstrings" | "jsoncolumns" => {
            "application/json; charset=UTF-8"
        }
        "xml" => "application/xml; charset=UTF-8",
        _ if format.starts_with("csv") => "text/csv; charset=UTF-8; header=absent",
        _ if format.starts_with("tabseparated") || format.starts_with("tsv") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        _ if format.starts_with("json") || format == "ndjson" => "application/x-ndjson; charset=UTF-8",
        _ if format.starts_with("pretty") || format == "vertical" || format == "values" => "text/plain; charset=UTF-8",
        _ => "application/octet-stream",
    }
}

fn summary(tally: StatementCounters, elapsed: Duration) -> String {
    let StatementCounters { read_rows, read_bytes, written_rows, written_bytes, result_rows, result_bytes } = tally;
    let elapsed = elapsed.as_nanos();
    format!(
        "{{\"read_rows\":\"{read_rows}\",\"read_bytes\":\"{read_bytes}\",\"written_rows\":\"{written_rows}\",\
         \"written_bytes\":\"{written_bytes}\",\"total_rows_to_read\":\"0\",\"result_rows\":\"{result_rows}\",\
         \"result_bytes\":\"{result_bytes}\",\"elapsed_ns\":\"{elapsed}\"}}"
    )
}
