//! Why the extract cannot be downloaded.

/// Why the extract cannot be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The request could not be sent, or its answer not be received.
    #[error("the connection failed after {received} bytes, and {attempts} attempts to continue brought nothing more")]
    Connection {
        /// Bytes received before.
        received: u64,
        /// Attempts without a further byte.
        attempts: u32,
        /// The last failure.
        #[source]
        source: reqwest::Error,
    },
    /// The server refuses, or reports an internal problem.
    #[error("the server answers with HTTP status {status}; check MEDHUB__SAM_GOV__EXTRACT_URL")]
    Status {
        /// The status.
        status: u16,
    },
    /// The server answers with a web page.
    #[error("the server answers with a web page (HTML) instead of a CSV file; check MEDHUB__SAM_GOV__EXTRACT_URL")]
    WebPage,
    /// Too many redirects, or a redirect to an address without TLS.
    #[error("the server redirects {problem}")]
    Redirect {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file changed while it was read.
    #[error(
        "the extract changed while it was downloaded, or the server cannot continue a download; the next run starts again"
    )]
    Changed,
    /// The server sent another number of bytes than it announced.
    #[error("the server sent {received} bytes instead of the {expected} that it announced")]
    WrongLength {
        /// The announced number.
        expected: u64,
        /// The received number.
        received: u64,
    },
    /// The file is larger than an extract can be.
    #[error("the extract is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The download takes too long.
    #[error("the extract was not read within {limit_s} s; MEDHUB__SAM_GOV__EXTRACT_TIMEOUT_S is the limit")]
    TooSlow {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// The reader of the extract ended before its end.
    #[error("the download was stopped")]
    Stopped,
}
