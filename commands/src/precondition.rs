//! Preconditions that a caller sets for a command.

use domain::value::InvalidValue;
use sha2::{Digest, Sha256};

/// Maximum length of an idempotency key, in characters.
const MAX_KEY_LENGTH: usize = 200;

/// Preconditions of a command. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandPreconditions {
    /// The accepted versions of the aggregate (the sequence of the stream's last event, 0 before the first). At any
    /// other version the command is not decided. `None` accepts every version.
    pub expected_versions: Option<Vec<u64>>,
    /// The client's idempotency key: a repeated command gets the first one's outcome and is not executed again.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CommandPreconditions {
    /// Preconditions that accept only this version; `None` accepts every version.
    pub fn with_version(version: Option<u64>) -> Self {
        Self { expected_versions: version.map(|version| vec![version]), idempotency_key: None }
    }

    /// Whether a command may be decided when the aggregate has this version.
    pub fn are_met_at(&self, version: u64) -> bool {
        self.expected_versions.as_ref().is_none_or(|expected| expected.contains(&version))
    }
}

/// A client's name for one request, with the request's digest. A command with a key is executed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    digest: String,
}

impl IdempotencyKey {
    /// The key of the request whose content is `request`. A key that is used again with other content is refused when
    /// its command is executed.
    ///
    /// # Errors
    /// [`InvalidValue`] when the key is empty, longer than 200 characters or not plain printable text.
    pub fn try_new(key: &str, request: &str) -> Result<Self, InvalidValue> {
        const WHAT: &str = "idempotency key";
        if key.is_empty() {
            return Err(InvalidValue::Empty { what: WHAT });
        }
        if key.chars().count() > MAX_KEY_LENGTH {
            return Err(InvalidValue::TooLong { what: WHAT, max: MAX_KEY_LENGTH });
        }
        if !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(InvalidValue::malformed(WHAT, key, "printable ASCII without spaces"));
        }
        Ok(Self { key: key.to_owned(), digest: format!("{:x}", Sha256::digest(request)) })
    }

    /// The key as the client sent it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Digest of the request, by which requests with the same key are compared.
    pub fn request_digest(&self) -> &str {
        &self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_at_most_200_printable_ascii_characters() {
        assert_eq!(IdempotencyKey::try_new("a-1", "x").unwrap().key(), "a-1");
        assert_eq!(IdempotencyKey::try_new("", "x"), Err(InvalidValue::Empty { what: "idempotency key" }));
        for bad in ["a b", "a\n", "é", &"k".repeat(201)] {
            assert!(IdempotencyKey::try_new(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_with_different_content_have_different_digests() {
        let key_for = |request| IdempotencyKey::try_new("k", request).unwrap();
        assert_eq!(key_for("x"), key_for("x"));
        assert_ne!(key_for("x").request_digest(), key_for("y").request_digest());
    }
}
