//! Downloads the extract: conditionally, resumed after a broken connection, and handed on as it arrives.
//!
//! ```text
//! GET, If-None-Match ──304──▶ not modified
//!    │ 200
//!    ▼
//! chunks ──bounded channel──▶ reader (blocking thread)
//!    ▲ connection breaks
//!    └── GET, Range, If-Range ──206──▶ go on          (200: the file has changed, the run ends)
//! ```

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::{Client, Response, StatusCode, Url, header, header::HeaderName};
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{DownloadError, SyncError, http_client, sync_store::ExtractVersion};
use crate::SamGovConfig;

/// Maximum size of an extract; that of SAM.gov has about 250 MB.
const MAX_EXTRACT_BYTES: u64 = 8 << 30;
const MAX_REDIRECTS: u32 = 5;
/// Chunks that are received ahead of the reader; each has at most some hundred kilobytes.
const CHUNKS_AHEAD: usize = 8;
/// Longest pause before the download is continued.
const MAX_RETRY_PAUSE: Duration = Duration::from_mins(1);

/// Downloads the extract from one address.
#[derive(Clone)]
pub(super) struct ExtractDownloader {
    http: Client,
    address: Url,
    retry_pause: Duration,
    attempts: u32,
    time_limit: Duration,
}

/// The answer to a conditional request.
pub(super) enum ExtractAnswer {
    /// The extract is the known version.
    NotModified,
    /// The extract, to be read.
    Modified(Response),
}

/// A download that runs in the background.
pub(super) struct RunningDownload {
    /// The validators of the version.
    pub(super) version: ExtractVersion,
    /// All bytes, if the server says how many.
    pub(super) total: Option<u64>,
    /// Bytes received so far.
    pub(super) received: Arc<AtomicU64>,
    /// Ends with the SHA-256 of all bytes.
    pub(super) task: JoinHandle<Result<String, DownloadError>>,
}

impl ExtractDownloader {
    /// # Errors
    /// [`SyncError`] when the settings have no valid address.
    pub(super) fn new(config: &SamGovConfig) -> Result<Self, SyncError> {
        let address = config.extract_url.as_deref().ok_or(SyncError::NoExtractUrl)?;
        Ok(Self {
            http: http_client::build_client(config.request_timeout())?,
            address: http_client::parse_address("MEDHUB__SAM_GOV__EXTRACT_URL", address)?,
            retry_pause: config.retry_pause(),
            attempts: config.attempts.max(1),
            time_limit: config.extract_timeout(),
        })
    }

    /// Requests the extract, unless it is the known version.
    pub(super) async fn request(&self, known: &ExtractVersion) -> Result<ExtractAnswer, DownloadError> {
        let condition = match (&known.etag, &known.last_modified) {
            (Some(etag), _) => vec![(header::IF_NONE_MATCH, etag.clone())],
            (None, Some(time)) => vec![(header::IF_MODIFIED_SINCE, time.clone())],
            (None, None) => vec![],
        };
        let response = self.send_with_retry(&condition, 0).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if !condition.is_empty() => Ok(ExtractAnswer::NotModified),
            StatusCode::OK if is_web_page(&response) => Err(DownloadError::WebPage),
            StatusCode::OK => Ok(ExtractAnswer::Modified(response)),
            status => Err(DownloadError::Status { status: status.as_u16() }),
        }
    }

    /// Receives the extract in the background, for the reader that is returned. The download ends when the reader is
    /// dropped.
    pub(super) fn start(self, response: Response) -> (ChunkReader, RunningDownload) {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let header_text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let version = ExtractVersion {
            etag: header_text(header::ETAG),
            last_modified: header_text(header::LAST_MODIFIED),
            content_sha256: None,
        };
        let (total, received) = (response.content_length(), Arc::new(AtomicU64::new(0)));
        let transfer = Transfer {
            downloader: self,
            version: version.clone(),
            total,
            received: Arc::clone(&received),
            hash: Sha256::new(),
            sender,
        };
        let task = tokio::spawn(transfer.run(response));
        (ChunkReader { receiver, chunk: io::Cursor::new(Vec::new()) }, RunningDownload { version, total, received, task })
    }

    /// Sends a request until the server answers it with another status than that of a problem of its own.
    async fn send_with_retry(
        &self,
        headers: &[(HeaderName, String)],
        received: u64,
    ) -> Result<Response, DownloadError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(self.retry_pause)
            .with_max_delay(MAX_RETRY_PAUSE)
            .with_max_times(usize::try_from(self.attempts - 1).unwrap_or_default())
            .build();
        loop {
            let failure = match self.send_following_redirects(headers).await {
                Ok(response) if response.status().is_server_error() || is_busy(response.status()) => {
                    DownloadError::Status { status: response.status().as_u16() }
                }
                Err(SendError::Connection(source)) => {
                    DownloadError::Connection { received, attempts: self.attempts, source }
                }
                Ok(response) => return Ok(response),
                Err(SendError::Redirect(problem)) => return Err(DownloadError::Redirect { problem }),
            };
            let Some(pause) = pauses.next() else { return Err(failure) };
            tracing::warn!(error = &failure as &dyn std::error::Error, "requesting the extract failed, repeating it");
            sleep(pause).await;
        }
    }

    /// The request has no key, so it may follow redirects to other hosts: extracts are kept at a storage service.
    async fn send_following_redirects(&self, headers: &[(HeaderName, String)]) -> Result<Response, SendError> {
        let mut address = self.address.clone();
        for _ in 0..=MAX_REDIRECTS {
            // A compressed transfer could not be resumed at a byte of the file.
            let mut request = self.http.get(address.clone()).header(header::ACCEPT_ENCODING, "identity");
            for (name, value) in headers {
                request = request.header(name.clone(), value.as_str());
            }
            let response = request.send().await.map_err(|error| SendError::Connection(error.without_url()))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| address.join(location).ok());
            address = next.ok_or(SendError::Redirect("without an address"))?;
            if !http_client::is_secure(&address) {
                return Err(SendError::Redirect("to an address without TLS"));
            }
        }
        Err(SendError::Redirect("too often"))
    }
}

enum SendError {
    Connection(reqwest::Error),
    Redirect(&'static str),
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn is_web_page(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// The download in the background.
struct Transfer {
    downloader: ExtractDownloader,
    version: ExtractVersion,
    total: Option<u64>,
    received: Arc<AtomicU64>,
    hash: Sha256,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
}

impl Transfer {
    async fn run(mut self, response: Response) -> Result<String, DownloadError> {
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
            let source = match self.transfer_chunks(&mut response).await? {
                None => break,
                Some(error) => error,
            };
            let received = self.received_bytes();
            failures = if received > before { 1 } else { failures + 1 };
            if failures >= self.downloader.attempts {
                return Err(DownloadError::Connection { received, attempts: failures, source });
            }
            tracing::warn!(error = &source as &dyn std::error::Error, received, "the download broke off, continuing it");
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

    /// Requests what follows the received bytes; `None` if nothing does. The server confirms that it is the same file.
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
    content_range.and_then(parse).is_some_and(|(start, size)| {
        start == first && total.is_none_or(|total| size.is_none_or(|size| size == total))
    })
}

/// Reads the chunks of a download. Blocks, so it is used on a blocking thread.
pub(super) struct ChunkReader {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
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
