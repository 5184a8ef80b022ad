//! Why a provider has not generated a text.

use std::time::Duration;

use crate::TokenUsage;

/// Why a provider has not generated a text.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The server cannot be reached, or the connection broke.
    #[error("{provider} cannot be reached")]
    Unreachable {
        /// The provider's name.
        provider: String,
        /// The error of the HTTP client, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// The server did not answer, or stopped sending, in time.
    #[error("{provider} sent nothing for {waited_s} s")]
    TimedOut {
        /// The provider's name.
        provider: String,
        /// Time waited, in seconds.
        waited_s: u64,
    },
    /// Too many requests, or the server is overloaded (429, 503, 529).
    #[error("{provider} accepts no more requests for now ({status})")]
    Overloaded {
        /// The provider's name.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// When it asks to be called again.
        retry_after: Option<Duration>,
    },
    /// The key is not accepted (401, 403).
    #[error("{provider} does not accept the API key ({status}); check the key of this provider in the settings")]
    Unauthorized {
        /// The provider's name.
        provider: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server refuses the request (other 4xx).
    #[error("{provider} refuses the request ({status}): {reason}")]
    Rejected {
        /// The provider's name.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// The reason that it gives, shortened.
        reason: String,
    },
    /// The server failed (5xx), or reported an error within the stream.
    #[error("{provider} failed ({status}): {reason}")]
    Failed {
        /// The provider's name.
        provider: String,
        /// The HTTP status, 200 for an error within the stream.
        status: u16,
        /// The reason that it gives, shortened.
        reason: String,
    },
    /// The answer is not in the protocol's format, or ends before its end.
    #[error("the answer of {provider} cannot be read: {reason}")]
    Malformed {
        /// The provider's name.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// The server answers the request, and gives no text for it: a filter of contents, a refusal of the model, or a limit
    /// of tokens that went into hidden reasoning.
    #[error("{provider} gives no text for this request: {reason}")]
    Declined {
        /// The provider's name.
        provider: String,
        /// The reason, shortened.
        reason: String,
        /// What the answer used, as far as the server reports it plausibly.
        usage: Option<TokenUsage>,
    },
    /// No passage fits the request.
    #[error("{provider} found nothing in the sources")]
    NoContent {
        /// The provider's name.
        provider: String,
    },
}

impl ProviderError {
    /// Whether another attempt at the same provider can succeed soon.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Overloaded { .. }
            | Self::Failed { .. }
            | Self::Malformed { .. } => true,
            Self::Unauthorized { .. } | Self::Rejected { .. } | Self::Declined { .. } | Self::NoContent { .. } => false,
        }
    }

    /// Whether it says something about the provider's health, and not about the request.
    pub fn is_provider_fault(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Overloaded { .. }
            | Self::Unauthorized { .. }
            | Self::Failed { .. }
            | Self::Malformed { .. } => true,
            Self::Rejected { .. } | Self::Declined { .. } | Self::NoContent { .. } => false,
        }
    }

    /// The label of the error in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Overloaded { .. } => "overloaded",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Rejected { .. } => "rejected",
            Self::Failed { .. } => "failed",
            Self::Malformed { .. } => "malformed",
            Self::Declined { .. } => "declined",
            Self::NoContent { .. } => "no_content",
        }
    }
}
