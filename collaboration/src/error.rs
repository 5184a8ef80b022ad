//! Errors of shared editing.

use std::fmt;

use domain::proposal::{MAX_SECTIONS, ProposalError};

/// Why a message of an editor is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUpdate {
    /// It is not a valid message of the protocol.
    #[error("this is no message of the Yjs protocol")]
    Malformed,
    /// The name of a text is not a valid section key.
    #[error("a section cannot be called {name:?}: its key has lower-case letters, digits and hyphens, at most 60")]
    InvalidSectionName {
        /// The name, cut off after 80 characters.
        name: String,
    },
    /// The proposal would have more than [`MAX_SECTIONS`] sections.
    #[error("a proposal has at most {MAX_SECTIONS} sections")]
    TooManySections,
    /// The resulting text of a section is not valid content.
    #[error("section {section}: {reason}")]
    InvalidContent {
        /// Key of the section.
        section: String,
        /// Why not.
        reason: String,
    },
    /// It contains something other than text, which is all that a section can hold.
    #[error("{kind} is no text: bind the editor to a Y.Text{}", section.as_ref().map(|name| format!(" (section {name})")).unwrap_or_default())]
    NotText {
        /// What it contains, in the terms of Yjs clients.
        kind: &'static str,
        /// Name of the section, where the update contains it.
        section: Option<String>,
    },
    /// The shared text would be too large, deleted content included.
    #[error("the shared text would have more than {max_bytes} bytes, deleted content included")]
    TooLarge {
        /// Maximum size, in bytes.
        max_bytes: usize,
    },
    /// It has more blocks than are taken at once, or the text would have more than it may.
    #[error("there are more than {most} {counted} in it")]
    TooManyBlocks {
        /// Maximum number of blocks.
        most: usize,
        /// What there are too many of.
        counted: CountedEdits,
    },
    /// The sender may only read the proposal.
    #[error("you may read this proposal, but not edit it")]
    ReadOnly,
    /// The proposal is no longer a draft.
    #[error("the proposal is {phase} and can no longer be edited")]
    NotDraft {
        /// Its phase.
        phase: &'static str,
    },
    /// An awareness state is too long or not a JSON object, or a connection has too many editors.
    #[error("an awareness state is a JSON object of at most 4,096 bytes, and a connection has at most 8 editors")]
    InvalidAwareness,
}

/// What is counted of an update, or of the text that it would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedEdits {
    /// Edits, each of which is a block.
    Single,
    /// Pairs of edits at one place of which neither knew of the other: each is compared when the text is put together.
    ConcurrentPairs,
}

impl fmt::Display for CountedEdits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Single => "single edits",
            Self::ConcurrentPairs => "pairs of simultaneous edits at one place",
        })
    }
}

/// A shared text cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// An operation on Postgres failed.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation.
        doing: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The proposal's events cannot be read or written.
    #[error("reaching the event store")]
    EventStore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tenant has no such proposal.
    #[error("there is no such proposal")]
    NotFound,
    /// The stored text cannot be read: a defect of this program.
    #[error("the stored text cannot be read: {reason}")]
    CorruptText {
        /// Why not.
        reason: String,
    },
    /// Another process holds the lock of the text's proposal sync, or the room closes.
    #[error("another process is busy with this text, try again")]
    Busy,
    /// The Redis client cannot be created or connected.
    #[error("connecting to Redis")]
    Redis(#[source] redis::RedisError),
}

/// For `map_err`: adds the operation to an error of Postgres.
pub(crate) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> TextError {
    move |source| TextError::Postgres { doing, source }
}

impl From<commands::error::CommandError<ProposalError>> for TextError {
    fn from(error: commands::error::CommandError<ProposalError>) -> Self {
        Self::EventStore(Box::new(error))
    }
}
