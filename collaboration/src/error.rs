//! Errors of shared editing.

use std::fmt;

use domain::proposal::{MAX_SECTIONS, ProposalError};

/// Why a message of an editor is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUpdate {
    /// The bytes are not a valid message of the protocol.
    #[error("not a valid message of the Yjs protocol")]
    Malformed,
    /// The name of a text is not a valid section key.
    #[error("invalid section key {name:?}: it has lower-case letters, digits and hyphens, at most 60")]
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
        /// Why the content is invalid.
        reason: String,
    },
    /// The update contains something other than text; a section can hold only text.
    #[error("{kind} is not a text: bind the editor to a Y.Text{}", section.as_ref().map(|name| format!(" (section {name})")).unwrap_or_default())]
    NotText {
        /// The content, in the terms of Yjs clients.
        kind: &'static str,
        /// Name of the section, if the update contains it.
        section: Option<String>,
    },
    /// The shared text would be too large, deleted content included.
    #[error("the shared text would have more than {max_bytes} bytes, deleted content included")]
    TooLarge {
        /// Maximum size, in bytes.
        max_bytes: usize,
    },
    /// The update has too many blocks, or the text would have too many.
    #[error("the update or the shared text has more than {most} {counted}")]
    TooManyBlocks {
        /// The maximum number.
        most: usize,
        /// What is counted.
        counted: CountedEdits,
    },
    /// The sender may only read the proposal.
    #[error("you may read this proposal, but not edit it")]
    ReadOnly,
    /// The proposal is no longer a draft.
    #[error("the proposal is {phase} and can no longer be edited")]
    NotDraft {
        /// The proposal's phase.
        phase: &'static str,
    },
    /// An awareness state is too long or not a JSON object, or a connection has too many editors.
    #[error("an awareness state is a JSON object of at most 4,096 bytes, and a connection has at most 8 editors")]
    InvalidAwareness,
}

/// What is counted in an update, or in the text that results from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedEdits {
    /// Blocks; each edit is a block.
    Single,
    /// Pairs of concurrent edits at the same position: merging compares the two edits of each pair.
    ConcurrentPairs,
}

impl fmt::Display for CountedEdits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Single => "single edits",
            Self::ConcurrentPairs => "pairs of concurrent edits at one position",
        })
    }
}

/// Why a shared text cannot be read, stored or synced.
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
    /// The stored text cannot be read, which is a defect of this program.
    #[error("the stored text cannot be read: {reason}")]
    CorruptText {
        /// The reader's error.
        reason: String,
    },
    /// Another process holds the lock of the text's proposal sync, or the room closes.
    #[error("the shared text is in use by another process, or closing; try again")]
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
