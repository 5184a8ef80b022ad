//! Errors of states in `Redis`, and their classification: caused by one key, or by the state of the server.

use redis::RedisError;

use crate::{
    QueryError,
    error::BoxedError,
    runtime::{ProjectionError, ReadModelGeneration},
};

pub(super) const STORE: &str = "Redis";

/// The markers of a prepared generation are missing.
#[derive(Debug, thiserror::Error)]
#[error("redis lost generation {generation} of the {read_model}; run `medhub rebuild {read_model}`")]
struct GenerationLost {
    read_model: &'static str,
    generation: ReadModelGeneration,
}

/// The generation was built by a release with other key names.
#[derive(Debug, thiserror::Error)]
#[error(
    "generation {generation} of the {read_model} has the keys of an earlier release; run `medhub rebuild \
     {read_model}`"
)]
struct OutdatedKeyLayout {
    read_model: &'static str,
    generation: ReadModelGeneration,
}

/// A key that most events change has the wrong type or content.
#[derive(Debug, thiserror::Error)]
#[error("figures in generation {generation} of the {read_model} are damaged; run `medhub rebuild {read_model}`")]
struct DamagedFigures {
    read_model: &'static str,
    generation: ReadModelGeneration,
    #[source]
    source: RedisError,
}

/// Events between the stored version and the next event are missing: a state batch refuses to fold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{stream} is at version {stored}, but the next event has sequence {next}: events in between are missing, or its \
     key in Redis was lost; run `medhub rebuild {read_model}`"
)]
pub struct SequenceGap {
    /// The read model, as `medhub rebuild` takes it.
    pub read_model: &'static str,
    /// The stream.
    pub stream: String,
    /// The sequence of the last event in the stored state; 0 without one.
    pub stored: u64,
    /// The sequence of the event that should be folded.
    pub next: u64,
}

/// A stored state that this program cannot have written.
#[derive(Debug, thiserror::Error)]
#[error("the key {key} has no valid state of this read model: {reason}")]
pub(crate) struct InvalidStoredState {
    key: String,
    reason: String,
}

impl InvalidStoredState {
    pub(super) fn new(key: &str, reason: impl Into<String>) -> Self {
        Self { key: key.to_owned(), reason: reason.into() }
    }
}

/// Classifies errors of one generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorClassifier {
    pub(super) read_model: &'static str,
    pub(super) generation: ReadModelGeneration,
}

impl ErrorClassifier {
    pub(super) fn generation_lost(self) -> ProjectionError {
        let Self { read_model, generation } = self;
        ProjectionError::unavailable(GenerationLost { read_model, generation })
    }

    pub(super) fn outdated_layout(self) -> ProjectionError {
        let Self { read_model, generation } = self;
        ProjectionError::unavailable(OutdatedKeyLayout { read_model, generation })
    }

    /// Classifies an error: caused by a key that few changes write, or by the state of the server, which concerns all
    /// changes. A server refuses every write when it is out of memory, is a replica, cannot save, is loading, or
    /// requires a password.
    pub(super) fn classify_error(self, error: RedisError) -> ProjectionError {
        let Self { read_model, generation } = self;
        match error.code() {
            Some("NOGENERATION") => self.generation_lost(),
            Some("SHAREDKEY") => ProjectionError::unavailable(DamagedFigures { read_model, generation, source: error }),
            Some("WRONGTYPE" | "ONEKEY") => ProjectionError::rejected(error),
            _ => ProjectionError::unavailable(unavailable_error(error)),
        }
    }
}

/// The error of a query whose stored state cannot be decoded.
pub fn unreadable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(crate) fn unavailable_error(source: RedisError) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind, make_extension_error};

    use super::*;

    #[test]
    fn only_an_error_about_one_key_is_refused() {
        let classifier = ErrorClassifier { read_model: "views", generation: ReadModelGeneration::FIRST };
        let classify_code = |code: &str| classifier.classify_error(make_extension_error(code.to_owned(), None));
        for code in ["WRONGTYPE", "ONEKEY"] {
            assert!(matches!(classify_code(code), ProjectionError::Rejected(_)), "{code}");
        }
        for code in ["OOM", "MISCONF", "NOAUTH", "NOGENERATION", "SHAREDKEY", "CROSSSLOT", "ERR"] {
            assert!(matches!(classify_code(code), ProjectionError::Unavailable(_)), "{code}");
        }
        for kind in [
            ErrorKind::Io,
            ErrorKind::Server(ServerErrorKind::ReadOnly),
            ErrorKind::Server(ServerErrorKind::BusyLoading),
        ] {
            let error = RedisError::from((kind, "planted"));
            assert!(matches!(classifier.classify_error(error), ProjectionError::Unavailable(_)));
        }
    }
}
