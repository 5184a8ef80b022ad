//! Keys by which machines act for a company.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, text_value, uuid_id, vocabulary};

/// How many keys one company may have at the same time.
pub const MAX_API_KEYS: usize = 100;

uuid_id!(
    /// An API key, not its secret.
    ApiKeyId, "key id"
);

text_value!(
    /// What people call a key.
    KeyName, "key name", max 100, |c| !c.is_control(), "text on one line"
);

vocabulary!(
    /// What a key lets a machine do.
    Scope, "scope" {
        /// Ask.
        Read = "read",
        /// Give commands.
        Write = "write",
        /// Tell of views and clicks.
        Ingest = "ingest",
        /// Take and finish tasks.
        Tasks = "tasks",
    }
);

/// What a key lets a machine do, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// These scopes, each once.
    ///
    /// # Errors
    /// [`InvalidValue`] for none.
    pub fn try_new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, InvalidValue> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        if scopes.is_empty() { Err(InvalidValue::Empty { what: "scopes" }) } else { Ok(Self(scopes)) }
    }

    /// Whether that is among them.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Scope> {
        self.0.iter().copied()
    }
}

/// The SHA-256 of a key's secret, as 64 hexadecimal digits. The secret itself is never part of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyHash(String);

impl KeyHash {
    /// Reads 64 hexadecimal digits in lower case.
    ///
    /// # Errors
    /// [`InvalidValue`] for any other text, which is not quoted, since it may be a secret passed by mistake.
    pub fn try_new(digits: &str) -> Result<Self, InvalidValue> {
        let is_hash = digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash {
            Ok(Self(digits.to_owned()))
        } else {
            Err(InvalidValue::malformed("key hash", "", "64 hexadecimal digits in lower case"))
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key as a company knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Which key.
    pub key_id: ApiKeyId,
    /// What people call it.
    pub name: KeyName,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// What it lets a machine do.
    pub scopes: ScopeSet,
    /// When it expires; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it has not expired at that time.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
