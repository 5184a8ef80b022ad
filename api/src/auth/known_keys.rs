//! API keys that were valid when they were last used, so that they are not counted as guesses.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::api_key::ApiKeySecret;

/// Maximum number of remembered keys; beyond it the least recently used are forgotten.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Remembers keys by their SHA-256. Their validity is still checked each time. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub(super) struct KnownKeys(Arc<Mutex<LruCache<[u8; 32], ()>>>);

impl Default for KnownKeys {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(MAX_KEYS))))
    }
}

impl KnownKeys {
    pub(super) fn contains(&self, key: &ApiKeySecret) -> bool {
        self.lock().get(&key_digest(key)).is_some()
    }

    pub(super) fn insert(&self, key: &ApiKeySecret) {
        self.lock().put(key_digest(key), ());
    }

    pub(super) fn remove(&self, key: &ApiKeySecret) {
        self.lock().pop(&key_digest(key));
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<[u8; 32], ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_digest(key: &ApiKeySecret) -> [u8; 32] {
    Sha256::digest(key.reveal()).into()
}

#[cfg(test)]
mod tests {
    use domain::value::TenantId;

    use super::*;

    #[test]
    fn a_key_is_known_by_its_secret_until_it_is_forgotten() {
        let tenant = TenantId::try_new("acme").unwrap();
        let (key, known) = (ApiKeySecret::generate(tenant.clone()), KnownKeys::default());
        known.insert(&key);
        let same_id = format!("mhk_acme.{}.{}", key.id, "0".repeat(64));
        assert!(known.contains(&key) && !known.contains(&ApiKeySecret::parse(&same_id).unwrap()));
        known.remove(&key);
        assert!(!known.contains(&key));
    }
}
