//! API keys, which let machines act for a company.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, text_value, uuid_id, vocabulary};

/// Maximum number of keys of one company that are not revoked.
pub const MAX_API_KEYS: usize = 100;

uuid_id!(
    /// The id of an API key. It is not secret.
    ApiKeyId, "key id"
);

text_value!(
    /// The display name of a key.
    KeyName, "key name", max 100, |c| !c.is_control(), "text on one line"
);

vocabulary!(
    /// What an API key may do.
    Scope, "scope" {
        /// Queries.
        Read = "read",
        /// Sends commands.
        Write = "write",
        /// Sends views and clicks to `/ingest`.
        Ingest = "ingest",
        /// Starts and completes tasks.
        Tasks = "tasks",
    }
);

/// The scopes of an API key; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// Creates the set; repeated scopes count once.
    ///
    /// # Errors
    /// [`InvalidValue`] when there is no scope.
    pub fn try_new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, InvalidValue> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        if scopes.is_empty() { Err(InvalidValue::Empty { what: "scopes" }) } else { Ok(Self(scopes)) }
    }

    /// Whether the set contains the scope.
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

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's id.
    pub key_id: ApiKeyId,
    /// The key's name.
    pub name: KeyName,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// What the key may do.
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
