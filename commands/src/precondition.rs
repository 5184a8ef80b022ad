//! Preconditions that a caller sets for a command.

use domain::value::InvalidValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Maximum length of an idempotency key, in characters.
const MAX_KEY_LENGTH: usize = 200;

/// Prefixes of the keys that this program gives to its own commands: records of task results, of mails, and others to
/// come.
const RESERVED_PREFIXES: [&str; 4] = ["task-result:", "mail-attempt-", "mail-outcome-", "medhub:"];

/// Preconditions of a command. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandPreconditions {
    /// The accepted versions of the aggregate (the sequence of the stream's last event, 0 before the first). At any
    /// other version the command is not decided. `None` accepts every version.
    pub expected_versions: Option<Vec<u64>>,
    /// The client's idempotency key: a repeated command gets the first one's outcome and is not executed again.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Whether the id of the aggregate was generated at random for this command, so that it has no events: then nothing
    /// is loaded before the command is decided.
    pub is_new_aggregate: bool,
}

impl CommandPreconditions {
    /// Preconditions that accept only this version; `None` accepts every version.
    pub fn with_version(version: Option<u64>) -> Self {
        Self { expected_versions: version.map(|version| vec![version]), ..Self::default() }
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

    /// The key that a client has chosen for a request. Keys of a tenant share one namespace, so a client must not take
    /// a key that this program gives to one of its commands: that command would not be executed.
    ///
    /// # Errors
    /// As [`Self::try_new`], and for a key of the form that this program uses itself.
    pub fn try_from_client(key: &str, request: &str) -> Result<Self, InvalidValue> {
        if is_reserved(key) {
            let expected = "free for clients: this service uses such keys for its own commands, take another one, e.g. a \
                            UUID";
            return Err(InvalidValue::malformed("idempotency key", key, expected));
        }
        Self::try_new(key, request)
    }

    /// The key as the client sent it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Digest of the request, to compare requests that have the same key.
    pub fn request_digest(&self) -> &str {
        &self.digest
    }
}

/// Whether this program gives such keys to its own commands.
fn is_reserved(key: &str) -> bool {
    RESERVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || is_process_key(key)
}

/// Whether the key is one of a process's command: `<process>.<id of the cause>.<number>`.
fn is_process_key(key: &str) -> bool {
    let mut parts = key.rsplitn(3, '.');
    let (Some(number), Some(cause), Some(_process)) = (parts.next(), parts.next(), parts.next()) else { return false };
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && Uuid::try_parse(cause).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_take_the_keys_of_this_programs_commands() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for reserved in [
            format!("task-result:{id}"),
            format!("mail-attempt-{id}"),
            format!("mail-outcome-{id}"),
            "medhub:x".to_owned(),
            format!("document-analysis.{id}.0"),
            format!("a.b.{id}.12"),
        ] {
            let refused = IdempotencyKey::try_from_client(&reserved, "x").unwrap_err().to_string();
            assert!(refused.contains(&reserved) && refused.contains("take another one"), "{refused}");
            assert_eq!(IdempotencyKey::try_new(&reserved, "x").unwrap().key(), reserved);
        }
        for free in
            [id, "k-1", "upload.rfp.pdf", "1.2.3", &format!("{id}.0"), &format!("upload.{id}.pdf"), "my-task-result:1"]
        {
            assert_eq!(IdempotencyKey::try_from_client(free, "x").unwrap().key(), free);
        }
        assert!(IdempotencyKey::try_from_client("a b", "x").is_err());
    }

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
