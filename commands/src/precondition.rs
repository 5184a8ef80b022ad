//! Preconditions that a caller sets for a command.

use domain::value::InvalidValue;
use sha2::{Digest, Sha256};

/// Longest key of a client, in characters.
const MAX_KEY_LENGTH: usize = 200;

/// Preconditions of a command. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandPreconditions {
    /// The accepted versions of the aggregate (the sequence of the stream's last event, 0 before the first). At any
    /// other version the command is not decided. `None` accepts every version.
    pub expected_versions: Option<Vec<u64>>,
    /// The client's idempotency key: a repeated command gets the first one's outcome and is not carried out again.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CommandPreconditions {
    /// Expects that version, if one is given.
    pub fn with_version(version: Option<u64>) -> Self {
        Self { expected_versions: version.map(|version| vec![version]), idempotency_key: None }
    }

    /// Whether the expected versions include that version.
    pub fn are_met_at(&self, version: u64) -> bool {
        self.expected_versions.as_ref().is_none_or(|expected| expected.contains(&version))
    }
}

/// The client's key of a request, with the request's digest. A command with a key is carried out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    digest: String,
}

impl IdempotencyKey {
    /// The key of a request with the content `asked`. Using the same key for another content is an error.
    ///
    /// # Errors
    /// [`InvalidValue`] when the key is empty, longer than 200 characters or not plain printable text.
    pub fn try_new(key: &str, asked: &str) -> Result<Self, InvalidValue> {
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
        Ok(Self { key: key.to_owned(), digest: format!("{:x}", Sha256::digest(asked)) })
    }

    /// The client's key.
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
    fn a_key_is_short_and_plain() {
        assert_eq!(IdempotencyKey::try_new("a-1", "x").unwrap().key(), "a-1");
        assert_eq!(IdempotencyKey::try_new("", "x"), Err(InvalidValue::Empty { what: "idempotency key" }));
        for bad in ["a b", "a\n", "é", &"k".repeat(201)] {
            assert!(IdempotencyKey::try_new(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_differ_by_what_they_ask() {
        let of = |asked| IdempotencyKey::try_new("k", asked).unwrap();
        assert_eq!(of("x"), of("x"));
        assert_ne!(of("x").request_digest(), of("y").request_digest());
    }
}
