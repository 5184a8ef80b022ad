//! What goes wrong in a projection and in its worker.

use crate::error::BoxedError;

/// Why events were not taken in; named after what the worker does next.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The store or the schema registry is away or refused: try again for ever.
    #[error("reaching the read model's store or the schema registry")]
    Unavailable(#[source] BoxedError),
    /// The store takes other changes, but not this one: find out which event it is, park it, tell a person.
    #[error("writing what the read model's store refuses")]
    Refused(#[source] BoxedError),
    /// The event makes no sense to this projection: never skip it, park it, tell a person.
    #[error("taking in an event that makes no sense here")]
    Poison(#[source] BoxedError),
}

impl ProjectionError {
    /// A store that cannot be reached.
    pub fn unavailable(source: impl Into<BoxedError>) -> Self {
        Self::Unavailable(source.into())
    }

    /// A change that the store refuses while it takes others.
    pub fn refused(source: impl Into<BoxedError>) -> Self {
        Self::Refused(source.into())
    }

    /// An event that makes no sense.
    pub fn poison(source: impl Into<BoxedError>) -> Self {
        Self::Poison(source.into())
    }
}

/// Why a worker cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The consumer's settings are refused.
    #[error("creating the consumer of projection {projection}")]
    Consumer {
        /// The projection.
        projection: &'static str,
        /// What the Kafka client says.
        #[source]
        source: BoxedError,
    },
    /// A worker broke off in the middle of something: a defect of this program.
    #[error("the worker of projection {projection} broke off")]
    BrokeOff {
        /// The projection.
        projection: String,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// Some clients put every failed command of a batch into one message.
const MAX_CHAIN_CHARS: usize = 500;

/// An error and its causes on one line, cut after [`MAX_CHAIN_CHARS`] characters.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some clients repeat their cause in their own text.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    match text.char_indices().nth(MAX_CHAIN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_never_endless() {
        let text = error_chain(&std::io::Error::other("é".repeat(10_000)));
        assert_eq!(text, format!("{}…", "é".repeat(MAX_CHAIN_CHARS)));
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = ProjectionError::unavailable(std::io::Error::other("connection refused"));
        assert_eq!(error_chain(&error), "reaching the read model's store or the schema registry: connection refused");
    }
}
