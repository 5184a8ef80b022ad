//! Tokens that were signed out before their expiry: stored in `Redis` until then, for all processes.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use lru::LruCache;
use projections::storage::redis::RedisConfig;
use redis::RedisError;
use redis_connections::RedisConnection;
use sha2::{Digest, Sha256};

/// Maximum number of cached lookups.
const MAX_LOOKUPS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Time limit of a call to `Redis`.
const REDIS_TIMEOUT: Duration = Duration::from_millis(250);

/// Identifies a token by its SHA-256, which does not reveal the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 32]);

impl TokenId {
    /// The id of a token.
    pub(super) fn from_token(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Time of the lookup, and whether the token was signed out.
type SignOutLookups = LruCache<TokenId, (Instant, bool)>;

/// Stores and looks up signed-out tokens. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub(super) struct SignedOutTokens {
    connection: RedisConnection,
    prefix: Arc<str>,
    lookups: Arc<Mutex<SignOutLookups>>,
    /// Maximum age of cached lookups; sign-outs by this process are effective at once.
    max_age: Duration,
}

impl SignedOutTokens {
    /// Creates a store in the `Redis` of the views. Call it inside a Tokio runtime.
    pub(super) fn new(redis: &RedisConfig, max_age: Duration) -> Result<Self, RedisError> {
        let connection = redis.endpoint()?.open_connection(REDIS_TIMEOUT)?;
        let prefix = format!("{}signed-out:", redis.key_prefix).into();
        Ok(Self { connection, prefix, lookups: Arc::new(Mutex::new(LruCache::new(MAX_LOOKUPS))), max_age })
    }

    /// Whether a token was signed out. While `Redis` is unavailable, only cached sign-outs count.
    pub(super) async fn is_signed_out(&self, token: TokenId) -> bool {
        let now = Instant::now();
        let cached = self.lock().get(&token).copied();
        // A sign-out is never reverted, so a cached one does not expire.
        if let Some((at, is_signed_out)) = cached
            && (is_signed_out || now.duration_since(at) < self.max_age)
        {
            return is_signed_out;
        }
        let found: Result<bool, _> =
            redis::cmd("EXISTS").arg(self.redis_key(token)).query_async(&mut self.connection.clone()).await;
        match found {
            Ok(is_signed_out) => {
                self.lock().put(token, (now, is_signed_out));
                is_signed_out
            }
            Err(error) => {
                // Accepting a signed-out token is better than refusing all requests.
                tracing::warn!(error = &error as &dyn std::error::Error, "sign-out lookup failed, token accepted");
                false
            }
        }
    }

    /// Marks a token as signed out until its expiry.
    pub(super) async fn record_sign_out(&self, token: TokenId, until: DateTime<Utc>) -> Result<(), RedisError> {
        let mut set = redis::cmd("SET");
        set.arg(self.redis_key(token)).arg(1).arg("EXAT").arg(until.timestamp().max(1));
        set.query_async::<()>(&mut self.connection.clone()).await?;
        self.lock().put(token, (Instant::now(), true));
        Ok(())
    }

    fn redis_key(&self, token: TokenId) -> String {
        token.0.iter().fold(self.prefix.to_string(), |key, byte| format!("{key}{byte:02x}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SignOutLookups> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
