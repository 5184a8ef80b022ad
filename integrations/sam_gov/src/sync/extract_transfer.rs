//! The download of an extract in the background: hands on the bytes, and continues after a broken connection.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use reqwest::{Response, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{DownloadError, extract_download::ExtractDownloader, sync_store::ExtractVersion};

/// Maximum size of an extract; SAM.gov's has about 250 MB.
const MAX_EXTRACT_BYTES: u64 = 8 << 30;

/// The download in the background.
pub(super) struct ExtractTransfer {
    downloader: ExtractDownloader,
    version: ExtractVersion,
    total: Option<u64>,
    received: Arc<AtomicU64>,
    hash: Sha256,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
}

impl ExtractTransfer {
    /// A transfer of this version to the reader behind `sender`.
    pub(super) fn new(
        downloader: ExtractDownloader,
        version: ExtractVersion,
        total: Option<u64>,
        received: Arc<AtomicU64>,
        sender: mpsc::Sender<io::Result<Vec<u8>>>,
    ) -> Self {
        Self { downloader, version, total, received, hash: Sha256::new(), sender }
    }

    /// Hands on all bytes, of the answer and of those that continue it; returns their SHA-256.
    pub(super) async fn run(mut self, response: Response) -> Result<String, DownloadError> {
        let (sender, limit) = (self.sender.clone(), self.downloader.time_limit);
        let transferred = timeout(limit, self.transfer_all(response)).await;
        let outcome = transferred.unwrap_or(Err(DownloadError::TooSlow { limit_s: limit.as_secs() }));
        if outcome.is_err() {
            // Without it the reader would take the interruption for the end of the file.
            let closed = sender.send(Err(io::Error::other("the download failed"))).await;
            drop(closed);
        }
        outcome
    }

    async fn transfer_all(&mut self, mut response: Response) -> Result<String, DownloadError> {
        let mut failures = 0;
        loop {
            let before = self.received_bytes();
            let Some(source) = self.transfer_chunks(&mut response).await? else { break };
            let received = self.received_bytes();
            failures = if received > before { 1 } else { failures + 1 };
            if failures >= self.downloader.attempts {
                return Err(DownloadError::Connection { received, attempts: failures, source });
            }
            tracing::warn!(
                error = &source as &dyn std::error::Error,
                received,
                "the download broke off, continuing it"
            );
            sleep(self.downloader.retry_pause).await;
            match self.resume(received).await? {
                Some(rest) => response = rest,
                None => break,
            }
        }
        let received = self.received_bytes();
        match self.total {
            Some(expected) if expected != received => Err(DownloadError::WrongLength { expected, received }),
            _ => Ok(format!("{:x}", std::mem::take(&mut self.hash).finalize())),
        }
    }

    fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Hands on the chunks of an answer to its end; `Some` if the connection breaks before.
    async fn transfer_chunks(&mut self, response: &mut Response) -> Result<Option<reqwest::Error>, DownloadError> {
        loop {
            let chunk = tokio::select! {
                () = self.sender.closed() => return Err(DownloadError::Stopped),
                chunk = response.chunk() => match chunk {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => return Ok(None),
                    Err(error) => return Ok(Some(error.without_url())),
                },
            };
            let received = self.received_bytes() + u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if received > MAX_EXTRACT_BYTES {
                return Err(DownloadError::TooLarge { limit: MAX_EXTRACT_BYTES });
            }
            self.hash.update(&chunk);
            self.sender.send(Ok(chunk.to_vec())).await.map_err(|_closed| DownloadError::Stopped)?;
            self.received.store(received, Ordering::Relaxed);
        }
    }

    /// Requests the bytes after the received ones; `None` if there are none. The server confirms that it is the same
    /// file.
    async fn resume(&self, received: u64) -> Result<Option<Response>, DownloadError> {
        let ExtractVersion { etag, last_modified, .. } = &self.version;
        // A weak ETag does not promise equal bytes.
        let strong_etag = etag.as_ref().filter(|etag| !etag.starts_with("W/"));
        let validator = strong_etag.or(last_modified.as_ref()).ok_or(DownloadError::Changed)?;
        let headers = [(header::RANGE, format!("bytes={received}-")), (header::IF_RANGE, validator.clone())];
        let response = self.downloader.send_with_retry(&headers, received).await?;
        let content_range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(content_range, received, self.total) => Ok(Some(response)),
            StatusCode::RANGE_NOT_SATISFIABLE if self.total == Some(received) => Ok(None),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(DownloadError::Changed)
            }
            status => Err(DownloadError::Status { status: status.as_u16() }),
        }
    }
}

/// Whether a range begins at this byte, of a file of this size: `bytes 100-199/200`.
fn starts_at(content_range: Option<&str>, first: u64, total: Option<u64>) -> bool {
    let parse = |text: &str| -> Option<(u64, Option<u64>)> {
        let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        Some((range.split_once('-')?.0.trim().parse().ok()?, size.trim().parse().ok()))
    };
    content_range
        .and_then(parse)
        .is_some_and(|(start, size)| start == first && total.is_none_or(|total| size.is_none_or(|size| size == total)))
}

/// Reads the chunks of a download. Blocks, so it is used on a blocking thread.
pub(super) struct ChunkReader {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl ChunkReader {
    pub(super) fn new(receiver: mpsc::Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { receiver, chunk: io::Cursor::new(Vec::new()) }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = io::Cursor::new(chunk?),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_continues_the_download_only_at_its_byte_and_in_a_file_of_the_same_size() {
        assert!(starts_at(Some("bytes 100-199/200"), 100, Some(200)));
        assert!(starts_at(Some("bytes 100-199/*"), 100, Some(200)));
        assert!(starts_at(Some("bytes 100-199/200"), 100, None));
        for wrong in ["bytes 0-199/200", "bytes 100-299/300", "bytes */200", "items 100-199/200", ""] {
            assert!(!starts_at(Some(wrong), 100, Some(200)), "{wrong}");
        }
        assert!(!starts_at(None, 100, None));
    }
}
