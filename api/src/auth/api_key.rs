//! API keys, which machines authenticate with: `mhk_<tenant>.<key id>.<secret>`.

use std::fmt;

use domain::{
    company::{ApiKeyId, KeyHash},
    value::TenantId,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// Prefix of all keys, so that secret scanners recognise them.
pub(super) const API_KEY_PREFIX: &str = "mhk_";

/// An API key with its secret. It is shown once, when it is issued; the log contains only a hash.
#[derive(Clone)]
pub struct ApiKeySecret {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Id of the key.
    pub id: ApiKeyId,
    secret: String,
}

impl ApiKeySecret {
    /// Generates a key for a tenant, with 244 random bits.
    pub fn generate(tenant: TenantId) -> Self {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        #[expect(clippy::disallowed_methods, reason = "ids of keys are generated with their secrets, at the edge")]
        let id = ApiKeyId::new(Uuid::now_v7());
        Self { tenant, id, secret }
    }

    /// Parses a key; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(API_KEY_PREFIX)?.splitn(3, '.');
        let tenant = TenantId::try_new(parts.next()?).ok()?;
        let id = ApiKeyId::parse(parts.next()?).ok()?;
        let secret = parts.next()?;
        let is_secret = secret.len() == 64 && secret.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_secret.then(|| Self { tenant, id, secret: secret.to_owned() })
    }

    /// The hash that the company stores. A secret with that many random bits needs no slow hash.
    ///
    /// # Errors
    /// Never: every SHA-256 digest is a valid hash.
    pub fn hash(&self) -> Result<KeyHash, domain::value::InvalidValue> {
        KeyHash::try_new(&format!("{:x}", Sha256::digest(&self.secret)))
    }

    /// Whether `hash` is the hash of this key; compares in constant time.
    pub(super) fn matches(&self, hash: &KeyHash) -> bool {
        let own_hash = format!("{:x}", Sha256::digest(&self.secret));
        own_hash.as_bytes().ct_eq(hash.as_str().as_bytes()).into()
    }

    /// Returns the key in plain text, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{API_KEY_PREFIX}{}.{}.{}", self.tenant, self.id, self.secret)
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{API_KEY_PREFIX}{}.{}.***", self.tenant, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_from_its_text_and_debug_hides_its_secret() {
        let key = ApiKeySecret::generate(TenantId::try_new("acme").unwrap());
        let parsed = ApiKeySecret::parse(&key.reveal()).unwrap();
        assert_eq!((parsed.tenant, parsed.id, &parsed.secret), (key.tenant.clone(), key.id, &key.secret));
        assert!(key.matches(&key.hash().unwrap()));
        assert!(!ApiKeySecret::generate(key.tenant.clone()).matches(&key.hash().unwrap()));
        assert!(!format!("{key:?}").contains(&key.secret));
    }

    #[test]
    fn a_malformed_key_is_not_parsed() {
        let valid = ApiKeySecret::generate(TenantId::try_new("acme").unwrap()).reveal();
        let truncated = &valid[..valid.len() - 1];
        for bad in
            ["", "mhk_", "mhk_acme", "mhk_acme.7.secret", "mhk_Acme.x.y", truncated, &valid[4..], &format!("{valid}0")]
        {
            assert!(ApiKeySecret::parse(bad).is_none(), "{bad}");
        }
    }
}
