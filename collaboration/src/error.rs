//! What can go wrong with a text that several people write.

use std::fmt;

use domain::proposal::{MAX_SECTIONS, ProposalError};

/// Why an update of an editor is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUpdate {
    /// It is no update of the protocol.
    #[error("this is no message of the Yjs protocol")]
    Malformed,
    /// A text of it can be no section.
    #[error("a section cannot be called {name:?}: its key has lower-case letters, digits and hyphens, at most 60")]
    InvalidSectionName {
        /// What it is called, cut off after 80 letters.
        name: String,
    },
    /// There would be more sections than a proposal may have.
    #[error("a proposal has at most {MAX_SECTIONS} sections")]
    TooManySections,
    /// What a section would say cannot be its content.
    #[error("section {section}: {reason}")]
    InvalidContent {
        /// Which section.
        section: String,
        /// Why not.
        reason: String,
    },
    /// Something in it is no text, which is all that a section can say.
    #[error("{kind} is no text: bind the editor to a Y.Text{}", section.as_ref().map(|name| format!(" (section {name})")).unwrap_or_default())]
    NotText {
        /// What it is, as clients call it.
        kind: &'static str,
        /// The section, where the update names it.
        section: Option<String>,
    },
    /// With it the shared text would be too large, what was deleted included.
    #[error("the shared text would have more than {max_bytes} bytes, what was deleted included")]
    TooLarge {
        /// How large it may be.
        max_bytes: usize,
    },
    /// It has more blocks than are taken at once, or the text would have more than it may.
    #[error("there are more than {most} {counted} in it")]
    TooManyBlocks {
        /// How many there may be.
        most: usize,
        /// What there are too many of.
        counted: CountedEdits,
    },
    /// Who sent it may only read.
    #[error("you may read this proposal, and not write it")]
    ReadOnly,
    /// The proposal is not written any more.
    #[error("the proposal is {phase}, and is not written any more")]
    NotDraft {
        /// How far it is.
        phase: &'static str,
    },
    /// What is told of oneself is too long, or is of too many editors.
    #[error(
        "what an editor tells of itself is a JSON object of at most 4,096 bytes, and a connection has at most 8 editors"
    )]
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
    /// Postgres did not do what it was asked.
    #[error("{doing} in Postgres")]
    Postgres {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// The proposal's events cannot be read or written.
    #[error("reaching the event store")]
    EventStore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The company has no such proposal.
    #[error("there is no such proposal")]
    NotFound,
    /// What is kept of the text cannot be read: our fault.
    #[error("what is kept of the text cannot be read: {reason}")]
    CorruptText {
        /// Why not.
        reason: String,
    },
    /// Somebody else is settling it all the time.
    #[error("another process is busy with this text, try again")]
    Busy,
    /// The settings of Redis are unusable.
    #[error("setting up the client of Redis")]
    Redis(#[source] redis::RedisError),
}

/// Names what was being done.
pub(crate) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> TextError {
    move |source| TextError::Postgres { doing, source }
}

impl From<commands::error::CommandError<ProposalError>> for TextError {
    fn from(error: commands::error::CommandError<ProposalError>) -> Self {
        Self::EventStore(Box::new(error))
    }
}
