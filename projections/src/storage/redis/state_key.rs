//! Keys of states, and the decoding of their values.

use super::errors::InvalidStoredState;

/// Name of a marker, and of the row that stands for all of them when a generation is verified.
pub const GENERATION_ROW: &str = "generation";

/// The key of a state, with its hash tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKey {
    /// The tag, without braces.
    pub tag: String,
    /// The whole key.
    pub key: String,
}

/// The stored version and state, as the server returns them.
pub(crate) type RawState = (Option<String>, Option<String>);

/// Decodes the stored version and the text of the state; `None` when nothing is stored.
pub(crate) fn parse_raw_state(
    key: &str,
    (version, state): RawState,
) -> Result<Option<(u64, String)>, InvalidStoredState> {
    match (version, state) {
        (Some(version), Some(state)) => match version.parse() {
            Ok(version) => Ok(Some((version, state))),
            Err(_) => Err(InvalidStoredState::new(key, format!("{version:?} is not a version"))),
        },
        (None, None) => Ok(None),
        (Some(_), None) => Err(InvalidStoredState::new(key, "its state is missing")),
        (None, Some(_)) => Err(InvalidStoredState::new(key, "its version is missing")),
    }
}
