//! Close codes of `graphql-transport-ws`.
//!
//! The standard client `graphql-ws`, which Apollo, urql and Relay use, reconnects after 4403, 4408 and 1013, with a
//! fresh token if it has a function for that; it reports other codes to its caller.

use axum::extract::ws::CloseFrame;

/// Maximum length of the reason in a close frame, in bytes (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum CloseCode {
    /// Authentication is unavailable, the client exceeds a limit, or the process stops; reconnect later.
    TryAgainLater = 1013,
    /// The message is not part of the protocol.
    InvalidMessage = 4400,
    /// A document was sent before the connection was initialised.
    Unauthorized = 4401,
    /// The credentials are invalid or have expired; reconnect with fresh ones.
    Forbidden = 4403,
    /// The connection was not initialised in time.
    InitialisationTimeout = 4408,
    /// The id of a document is in use by a running one.
    SubscriberAlreadyExists = 4409,
    /// The connection was initialised twice.
    TooManyInitialisations = 4429,
}

impl CloseCode {
    /// Creates a close frame; a long reason is truncated.
    pub(super) fn to_frame(self, reason: &str) -> CloseFrame {
        CloseFrame { code: self as u16, reason: reason[..reason.floor_char_boundary(MAX_REASON_BYTES)].into() }
    }
}
