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
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::{Client, Response, StatusCode, Url, header, header::HeaderName};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use super::{
    DownloadError, SyncError,
    extract_transfer::{ChunkReader, ExtractTransfer},
    http_client,
    sync_store::ExtractVersion,
};
use crate::SamGovConfig;

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
    pub(super) retry_pause: Duration,
    pub(super) attempts: u32,
    pub(super) time_limit: Duration,
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
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let header_text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let version = ExtractVersion {
            etag: header_text(header::ETAG),
            last_modified: header_text(header::LAST_MODIFIED),
            content_sha256: None,
        };
        let (total, received) = (response.content_length(), Arc::new(AtomicU64::new(0)));
        let transfer = ExtractTransfer::new(self, version.clone(), total, Arc::clone(&received), sender);
        let task = tokio::spawn(transfer.run(response));
        (ChunkReader::new(chunks), RunningDownload { version, total, received, task })
    }

    /// Repeats a request as long as the server answers with a status of an internal problem.
    pub(super) async fn send_with_retry(
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
                Err(ExtractRequestError::Connection(source)) => {
                    DownloadError::Connection { received, attempts: self.attempts, source }
                }
                Ok(response) => return Ok(response),
                Err(ExtractRequestError::Redirect(problem)) => return Err(DownloadError::Redirect { problem }),
            };
            let Some(pause) = pauses.next() else { return Err(failure) };
            tracing::warn!(error = &failure as &dyn std::error::Error, "requesting the extract failed, repeating it");
            sleep(pause).await;
        }
    }

    /// The request has no key, so it may follow redirects to other hosts: extracts are kept at a storage service.
    async fn send_following_redirects(
        &self,
        headers: &[(HeaderName, String)],
    ) -> Result<Response, ExtractRequestError> {
        let mut address = self.address.clone();
        for _ in 0..=MAX_REDIRECTS {
            // A compressed transfer could not be resumed at a byte of the file.
            let mut request = self.http.get(address.clone()).header(header::ACCEPT_ENCODING, "identity");
            for (name, value) in headers {
                request = request.header(name.clone(), value.as_str());
            }
            let response =
                request.send().await.map_err(|error| ExtractRequestError::Connection(error.without_url()))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| address.join(location).ok());
            address = next.ok_or(ExtractRequestError::Redirect("without an address"))?;
            if !http_client::is_secure(&address) {
                return Err(ExtractRequestError::Redirect("to an address without TLS"));
            }
        }
        Err(ExtractRequestError::Redirect("too often"))
    }
}

enum ExtractRequestError {
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
