//! Reads a request's body: SQL text into memory, the data of an `INSERT` into a file of the data folder.

use std::{io, path::Path};

use axum::body::{Body, BodyDataStream, Bytes};
use futures::StreamExt;
use tempfile::NamedTempFile;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::exception::{ClickHouseException, ExceptionCode};

/// How much of a refused body is still read: a client reads the response only after it has sent its body.
const DISCARDED_BYTES: u64 = 1 << 30;
/// Large enough that the cost of the writes is negligible.
const WRITE_BUFFER: usize = 1 << 20;

/// An incoming body, counted against its limit.
pub(super) struct RequestBody {
    stream: BodyDataStream,
    /// Bytes that may still be read.
    remaining: u64,
    limit: u64,
}

impl RequestBody {
    pub(super) fn new(body: Body, limit: u64) -> Self {
        Self { stream: body.into_data_stream(), remaining: limit, limit }
    }

    /// Maximum size of the body, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ClickHouseException> {
        let Some(chunk) = self.stream.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|error| {
            ExceptionCode::BadArguments.with_message(&format!("the body could not be read: {error}"))
        })?;
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let too_large =
            || ExceptionCode::TooManyBytes.with_message(&format!("the body is larger than {} bytes", self.limit));
        self.remaining = self.remaining.checked_sub(length).ok_or_else(too_large)?;
        Ok(Some(chunk))
    }

    /// Reads and discards the rest of the body, up to [`DISCARDED_BYTES`].
    pub(super) async fn discard_rest(&mut self) {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(chunk)) = self.stream.next().await {
            match left.checked_sub(chunk.len() as u64) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    /// Appends to the text until the body ends or the text is longer than the limit; returns whether the body ended.
    pub(super) async fn read_text(&mut self, text: &mut Vec<u8>, limit: usize) -> Result<bool, ClickHouseException> {
        while let Some(chunk) = self.next_chunk().await? {
            text.extend_from_slice(&chunk);
            if text.len() > limit {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes `head`, which was already read, and the rest of the body to a file that is removed when dropped.
    pub(super) async fn spool_to_file(
        &mut self,
        head: &[u8],
        folder: &Path,
    ) -> Result<NamedTempFile, ClickHouseException> {
        let file = NamedTempFile::new_in(folder).map_err(|error| write_exception(&error))?;
        let writer = tokio::fs::File::from_std(file.reopen().map_err(|error| write_exception(&error))?);
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER, writer);
        writer.write_all(head).await.map_err(|error| write_exception(&error))?;
        while let Some(chunk) = self.next_chunk().await? {
            writer.write_all(&chunk).await.map_err(|error| write_exception(&error))?;
        }
        writer.flush().await.map_err(|error| write_exception(&error))?;
        Ok(file)
    }
}

fn write_exception(error: &io::Error) -> ClickHouseException {
    ExceptionCode::CannotWrite.with_message(&format!("Cannot write the body to the data folder: {error}"))
}
