//! Tokens that were signed out before their end: remembered in `Redis` until then, so that every process knows.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use lru::LruCache;
use projections::opportunity_views::RedisConfig;
use redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use sha2::{Digest, Sha256};

/// Tokens of which is remembered whether they were signed out.
const MAX_LOOKUPS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Longest wait for an answer.
const REDIS_TIMEOUT: Duration = Duration::from_millis(250);

/// A token by its SHA-256: whoever reads what is kept cannot use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 32]);

impl TokenId {
    /// Of this token.
    pub(super) fn from_token(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// When it was looked up, and whether it was signed out.
type SignOutLookups = LruCache<TokenId, (Instant, bool)>;

/// Knows what was signed out. Cheap to clone; clones know the same.
#[derive(Clone)]
pub(super) struct SignedOutTokens {
    connection: ConnectionManager,
    prefix: Arc<str>,
    lookups: Arc<Mutex<SignOutLookups>>,
    /// How long what was looked up counts; what this process signs out counts at once.
    max_age: Duration,
}

impl SignedOutTokens {
    /// Over the `Redis` of the views. Call it inside a Tokio runtime.
    pub(super) fn new(redis: &RedisConfig, fresh: Duration) -> Result<Self, RedisError> {
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(redis.url.as_str())?, manager)?;
        let prefix = format!("{}signed-out:", redis.key_prefix).into();
        Ok(Self { connection, prefix, lookups: Arc::new(Mutex::new(LruCache::new(MAX_LOOKUPS))), max_age: fresh })
    }

    /// Whether a token was signed out. While `Redis` is away only what is remembered is.
    pub(super) async fn is_signed_out(&self, token: TokenId) -> bool {
        let now = Instant::now();
        let known = self.lock().get(&token).copied();
        // What was signed out never counts again.
        if let Some((at, is_signed_out)) = known
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
                // Better all requests than none.
                tracing::warn!(error = &error as &dyn std::error::Error, "nobody knows which tokens were signed out");
                false
            }
        }
    }

    /// Lets a token count no more, which would count until then.
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
