//! Turns the progress of a statement into an HTTP response in ClickHouse's form.

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

/// A result is buffered up to this size, so that a late failure still gets its own status (ClickHouse's default).
const BUFFERED_BYTES: usize = 1 << 20;

/// How a result is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResultEncoding {
    /// Whether it is sent in ClickHouse's blocks.
    pub(super) in_blocks: bool,
    /// The protocol revision, if the format is `Native`; 0 for none.
    pub(super) revision: u64,
}

impl ResultEncoding {
    /// Encodes a chunk of the result.
    fn encode(self, chunk: Bytes) -> Result<Bytes, ClickHouseException> {
        let chunk =
            if self.revision > 0 { native_format::convert_blocks(&chunk, self.revision)?.into() } else { chunk };
        Ok(self.compress(chunk))
    }

    fn compress(self, chunk: Bytes) -> Bytes {
        if self.in_blocks { body_compression::compress_blocks(&chunk) } else { chunk }
    }
}

/// Builds the response; the caller adds the headers of every response. An error before the first byte is sent as plain
/// text in any encoding, as clients expect it.
pub(super) async fn build_response(
    mut progress: Receiver<StatementProgress>,
    format: &str,
    encoding: ResultEncoding,
) -> Response {
    let mut buffered = Vec::new();
    let mut length = 0;
    loop {
        match progress.recv().await {
            Some(StatementProgress::Chunk(chunk)) => {
                length += chunk.len();
                match encoding.encode(chunk) {
                    Ok(chunk) => buffered.push(chunk),
                    Err(exception) => return exception.into_response(),
                }
                if length > BUFFERED_BYTES {
                    return stream_response(buffered, progress, format, encoding);
                }
            }
            Some(StatementProgress::Finished(counters, elapsed)) => {
                return complete_response(&buffered, counters, elapsed, format);
            }
            Some(StatementProgress::Failed(exception)) => return exception.into_response(),
            None => {
                return ClickHouseException::from_engine("the statement's thread ended without a result", "")
                    .into_response();
            }
        }
    }
}

fn complete_response(buffered: &[Bytes], counters: StatementCounters, elapsed: Duration, format: &str) -> Response {
    let body = match buffered {
        [] => Bytes::new(),
        [chunk] => chunk.clone(),
        chunks => chunks.concat().into(),
    };
    let mut response = Response::new(Body::from(body));
    set_format_headers(response.headers_mut(), format);
    if let Ok(summary) = HeaderValue::from_str(&format_summary(counters, elapsed)) {
        response.headers_mut().insert("X-ClickHouse-Summary", summary);
    }
    response
}

fn stream_response(
    buffered: Vec<Bytes>,
    progress: Receiver<StatementProgress>,
    format: &str,
    encoding: ResultEncoding,
) -> Response {
    let tag = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let mut response = Response::new(Body::from_stream(result_chunks(buffered, progress, tag.clone(), encoding)));
    set_format_headers(response.headers_mut(), format);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert("X-ClickHouse-Exception-Tag", tag);
    }
    response
}

/// Ends the connection after a failed result, so that no client takes the part that was sent for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the statement failed after a part of its result was sent")]
struct StreamAborted;

enum ResponseStreamState {
    Streaming(Receiver<StatementProgress>),
    Aborted,
    Finished,
}

fn result_chunks(
    buffered: Vec<Bytes>,
    progress: Receiver<StatementProgress>,
    tag: String,
    encoding: ResultEncoding,
) -> impl Stream<Item = Result<Bytes, StreamAborted>> {
    let tail = stream::unfold(ResponseStreamState::Streaming(progress), move |tail| {
        let tag = tag.clone();
        async move {
            match tail {
                ResponseStreamState::Finished => None,
                ResponseStreamState::Aborted => {
                    // Lets the error text be sent before the connection ends.
                    tokio::task::yield_now().await;
                    Some((Err(StreamAborted), ResponseStreamState::Finished))
                }
                ResponseStreamState::Streaming(mut progress) => match progress.recv().await {
                    Some(StatementProgress::Chunk(chunk)) => match encoding.encode(chunk) {
                        Ok(chunk) => Some((Ok(chunk), ResponseStreamState::Streaming(progress))),
                        Err(exception) => Some((
                            Ok(encoding.compress(exception_block(&exception, &tag))),
                            ResponseStreamState::Aborted,
                        )),
                    },
                    Some(StatementProgress::Finished(..)) => None,
                    Some(StatementProgress::Failed(exception)) => {
                        Some((Ok(encoding.compress(exception_block(&exception, &tag))), ResponseStreamState::Aborted))
                    }
                    None => Some((Err(StreamAborted), ResponseStreamState::Finished)),
                },
            }
        }
    });
    futures::StreamExt::chain(stream::iter(buffered.into_iter().map(Ok)), tail)
}

/// The block that ClickHouse appends to a result if the statement fails after a part of it was sent.
fn exception_block(exception: &ClickHouseException, tag: &str) -> Bytes {
    let text = format!("{}\n", exception.text);
    format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len()).into()
}

fn set_format_headers(headers: &mut HeaderMap, format: &str) {
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

fn format_summary(counters: StatementCounters, elapsed: Duration) -> String {
    let StatementCounters { read_rows, read_bytes, written_rows, written_bytes, result_rows, result_bytes } = counters;
    let elapsed = elapsed.as_nanos();
    format!(
        "{{\"read_rows\":\"{read_rows}\",\"read_bytes\":\"{read_bytes}\",\"written_rows\":\"{written_rows}\",\
         \"written_bytes\":\"{written_bytes}\",\"total_rows_to_read\":\"0\",\"result_rows\":\"{result_rows}\",\
         \"result_bytes\":\"{result_bytes}\",\"elapsed_ns\":\"{elapsed}\"}}"
    )
}
