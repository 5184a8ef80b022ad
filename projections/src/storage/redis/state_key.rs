//! Keys of states, and the decoding of their values.

use std::{ops::Range, sync::Arc};

use super::errors::InvalidStoredState;

/// Name of a marker, and of the row that stands for all of them when a generation is verified.
pub const GENERATION_ROW: &str = "generation";

/// The key of a state, with its hash tag. Cheap to clone, because the writer and the cache share its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKey {
    text: Arc<str>,
    /// Where the tag is in the text.
    tag: Range<usize>,
}

impl StateKey {
    /// The key of `name` in the slot of `tag`.
    pub(super) fn new(prefix: &str, tag: &str, name: &str) -> Self {
        let begin = prefix.len() + 1;
        Self { text: format_key(prefix, tag, name).into(), tag: begin..begin + tag.len() }
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tag, without braces.
    pub fn tag(&self) -> &str {
        self.text.get(self.tag.clone()).unwrap_or_default()
    }

    pub(super) fn into_text(self) -> Arc<str> {
        self.text
    }
}

/// The text of the key of `name` in the slot of `tag`.
pub(super) fn format_key(prefix: &str, tag: &str, name: &str) -> String {
    [prefix, "{", tag, "}:", name].concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_tag_in_braces() {
        for (prefix, tag) in [("medhub:g1:", "63"), ("", "acme"), ("odd{prefix:", "{odd}")] {
            let key = StateKey::new(prefix, tag, "visit:1");
            assert_eq!((key.tag(), key.as_str()), (tag, format!("{prefix}{{{tag}}}:visit:1").as_str()));
        }
    }
}
