//! Why a connection is closed, by the codes of `graphql-transport-ws`.
//!
//! The stock client `graphql-ws`, which Apollo, urql and Relay use, connects again after 4403, 4408 and 1013, with a fresh
//! token if it has a function for it; after the others it tells its caller.

use axum::extract::ws::CloseFrame;

/// What a reason may have at most, in bytes (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum CloseCode {
    /// The server cannot say now who it is, or they ask too often: later.
    TryAgainLater = 1013,
    /// What was said is no message of the protocol.
    InvalidMessage = 4400,
    /// A document came before the connection was begun.
    Unauthorized = 4401,
    /// What is shown does not count, or no longer does: show something fresh.
    Forbidden = 4403,
    /// The connection was not begun in time.
    InitialisationTimeout = 4408,
    /// The id of a document is that of another that is under way.
    SubscriberAlreadyExists = 4409,
    /// The connection was begun twice.
    TooManyInitialisations = 4429,
}

impl CloseCode {
    /// The last frame of a connection; a long reason is cut.
    pub(super) fn to_frame(self, reason: &str) -> CloseFrame {
        CloseFrame { code: self as u16, reason: reason[..reason.floor_char_boundary(MAX_REASON_BYTES)].into() }
    }
}
