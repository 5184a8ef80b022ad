//! What a failed command means for the changes it should have written.

use redis::RedisError;

use super::queries::unavailable_error;
use crate::runtime::{Generation, ProjectionError};

/// The server no longer has what was prepared.
#[derive(Debug, thiserror::Error)]
#[error("redis lost generation {generation} of the views; `medhub rebuild views` makes it anew")]
struct ViewsGenerationLost {
    generation: Generation,
}

/// Tells that the generation's marker is missing.
pub(super) fn generation_lost(generation: Generation) -> ProjectionError {
    ProjectionError::unavailable(ViewsGenerationLost { generation })
}

/// A key that every event moves holds something else.
#[derive(Debug, thiserror::Error)]
#[error("figures in generation {generation} of the views are damaged; `medhub rebuild views` makes it anew")]
struct DamagedFigures {
    generation: Generation,
    #[source]
    source: RedisError,
}

/// Whose fault it is: that of the one key that a change is about, or the server's state, which concerns all changes.
/// The server refuses all of them when it is out of memory, a replica, cannot save, is loading, or wants a password.
pub(super) fn classify_error(error: RedisError, generation: Generation) -> ProjectionError {
    match error.code() {
        Some("NOGENERATION") => generation_lost(generation),
        Some("SHAREDKEY") => ProjectionError::unavailable(DamagedFigures { generation, source: error }),
        Some("WRONGTYPE" | "ONEKEY") => ProjectionError::refused(error),
        _ => ProjectionError::unavailable(unavailable_error(error)),
    }
}

/// A stored state that this program did not write so.
#[derive(Debug, thiserror::Error)]
#[error("the key {key} holds what is no view: {reason}")]
pub(super) struct InvalidStoredState {
    pub(super) key: String,
    pub(super) reason: String,
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind, make_extension_error};

    use super::*;

    #[test]
    fn only_what_is_wrong_with_one_key_is_refused() {
        let of = |code: &str| classify_error(make_extension_error(code.to_owned(), None), Generation::FIRST);
        for code in ["WRONGTYPE", "ONEKEY"] {
            assert!(matches!(of(code), ProjectionError::Refused(_)), "{code}");
        }
        for code in ["OOM", "MISCONF", "NOAUTH", "NOGENERATION", "SHAREDKEY", "ERR"] {
            assert!(matches!(of(code), ProjectionError::Unavailable(_)), "{code}");
        }
        for kind in [
            ErrorKind::Io,
            ErrorKind::Server(ServerErrorKind::ReadOnly),
            ErrorKind::Server(ServerErrorKind::BusyLoading),
        ] {
            let error = RedisError::from((kind, "planted"));
            assert!(matches!(classify_error(error, Generation::FIRST), ProjectionError::Unavailable(_)));
        }
    }
}
