//! Why a request to the API failed. No text contains the key or the address, which contains the key.

use chrono::{DateTime, Utc};

/// Why a request to the API failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API refuses further requests with this key for now.
    #[error("SAM.gov refuses further requests with this key for now (HTTP status 429)")]
    Throttled {
        /// Until when, if the API says so.
        until: Option<DateTime<Utc>>,
    },
    /// The request could not be sent, or its answer not be received.
    #[error("the connection to SAM.gov failed")]
    Connection(#[source] reqwest::Error),
    /// The API reports an internal problem.
    #[error("SAM.gov answers with HTTP status {status}{message}")]
    Server {
        /// The status.
        status: u16,
        /// The beginning of the answer, after a colon; empty without one.
        message: String,
    },
    /// The API does not accept the key.
    #[error(
        "SAM.gov does not accept the key (HTTP status {status}{message}); set MEDHUB__SAM_GOV__API_KEY to a valid one"
    )]
    KeyRejected {
        /// The status.
        status: u16,
        /// The beginning of the answer, after a colon; empty without one.
        message: String,
    },
    /// The API does not accept the request, or there is no API at the address.
    #[error("SAM.gov refuses the request (HTTP status {status}{message}); check MEDHUB__SAM_GOV__API_URL")]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of the answer, after a colon; empty without one.
        message: String,
    },
    /// The API redirects. The key is not sent there.
    #[error("SAM.gov redirects to {host}, and the key is not sent there; check MEDHUB__SAM_GOV__API_URL")]
    Redirected {
        /// The host of the new address.
        host: String,
    },
    /// The answer is something else.
    #[error("SAM.gov answers with {found} instead of a page of notices")]
    NotAPage {
        /// What it appears to be.
        found: &'static str,
    },
    /// The answer is cut off or damaged.
    #[error("the answer of SAM.gov is cut off or is not JSON, at byte {at}")]
    Damaged {
        /// Where reading failed, counted from 1.
        at: usize,
    },
    /// The answer announces more notices than SAM.gov has.
    #[error("the answer of SAM.gov announces {total} notices, more than the {limit} that are plausible")]
    AbsurdTotal {
        /// The announced number.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// The answer is too large.
    #[error("the answer of SAM.gov is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The address of a text is at another host than the API, so the key is not sent there.
    #[error("the text of a notice is at {host}, and the key is not sent there")]
    ForeignAddress {
        /// The host.
        host: String,
    },
}

impl ApiError {
    /// Whether the same request may succeed soon.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_)
            | Self::Server { .. }
            | Self::NotAPage { .. }
            | Self::Damaged { .. }
            | Self::AbsurdTotal { .. } => true,
            Self::Throttled { .. }
            | Self::KeyRejected { .. }
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::ForeignAddress { .. } => false,
        }
    }
}
