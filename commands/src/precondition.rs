//! What a caller wants to hold when a command is carried out.

use domain::value::InvalidValue;
use sha2::{Digest, Sha256};

/// Longest key of a client, in characters.
const MAX_KEY_LENGTH: usize = 200;

/// What has to hold for a command to be carried out. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandPreconditions {
    /// The versions that the caller has seen, of which any will do: the sequence of the stream's last event, 0 before the
    /// first. If others have changed the aggregate since, the command is not decided at all. `None` asks for none.
    pub expected_versions: Option<Vec<u64>>,
    /// The client's key of this command: when it comes again, it is answered and not carried out again.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CommandPreconditions {
    /// Only at that version, where one is named.
    pub fn with_version(version: Option<u64>) -> Self {
        Self { expected_versions: version.map(|version| vec![version]), idempotency_key: None }
    }

    /// Whether they hold at that version.
    pub fn are_met_at(&self, version: u64) -> bool {
        self.expected_versions.as_ref().is_none_or(|expected| expected.contains(&version))
    }
}

/// A command that is carried out once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    digest: String,
}

impl IdempotencyKey {
    /// By the client's key, for a request that says `asked`: the same key with another request is a mistake.
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

    /// Tells requests apart.
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
