//! How often somebody asked, counted in `Redis`, so that all processes count together.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use projections::views::ViewsConfig;
use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use sha2::{Digest, Sha256};

use crate::{config::LimitsConfig, identity::Counted};

const COUNT: &str = include_str!("limiter.lua");

/// Longest wait for the count: a server that is slow or away lets everybody in.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A request.
    Request,
    /// A token or key that turned out to be none.
    RefusedToken,
}

/// How somebody stands with their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Requests a minute.
    limit: u32,
    /// How many more are let in now.
    remaining: u32,
    /// In how many seconds all are let in again.
    reset_s: u64,
    /// In how many seconds the next one is; `None` where this one is.
    pub(crate) retry_after_s: Option<u64>,
}

/// Counts requests.
#[derive(Clone)]
pub(crate) struct Limiter {
    config: LimitsConfig,
    prefix: Arc<str>,
    connection: Option<ConnectionManager>,
}

impl Limiter {
    /// Over the `Redis` of the views. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`redis::RedisError`] when the URL is none.
    pub(crate) fn new(config: &LimitsConfig, redis: &ViewsConfig) -> Result<Self, redis::RedisError> {
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(redis.url.as_str())?, manager)?;
        let prefix = format!("{}limit:", redis.key_prefix).into();
        Ok(Self { config: config.clone(), prefix, connection: config.enabled.then_some(connection) })
    }

    /// One that lets everybody in.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { config: LimitsConfig::default(), prefix: "".into(), connection: None }
    }

    /// Whether the client's address is told by a proxy.
    pub(crate) fn trusts_forwarded(&self) -> bool {
        self.config.trust_forwarded
    }

    /// Counts what somebody asked; `None` where nothing is counted.
    pub(crate) async fn count(&self, asked: Asked, who: &Counted, address: &str) -> Option<Room> {
        let (kind, id, limit) = match (asked, who) {
            (Asked::RefusedToken, _) => ("refused", address, self.config.refused_tokens),
            (Asked::Request, Counted::Nobody) => return None,
            (Asked::Request, Counted::Address) => ("address", address, self.config.per_address),
            (Asked::Request, Counted::User(user)) => ("user", user.as_str(), self.config.per_user),
            (Asked::Request, Counted::Key(key)) => ("key", key.as_str(), self.config.per_key),
        };
        let mut connection = self.connection.clone()?;
        // Names of users are of any length and of any letters.
        let key = format!("{}{kind}:{:x}", self.prefix, Sha256::digest(id));
        let mut call = redis::cmd("EVAL");
        call.arg(COUNT).arg(1).arg(key).arg(limit.max(1));
        match call.query_async::<(bool, u32, u64, u64)>(&mut connection).await {
            Ok((is_let_in, remaining, wait_ms, reset_ms)) => Some(Room {
                limit: limit.max(1),
                remaining,
                reset_s: reset_ms.div_ceil(1_000),
                retry_after_s: (!is_let_in).then(|| wait_ms.div_ceil(1_000).max(1)),
            }),
            Err(error) => {
                // Better all requests than none.
                tracing::warn!(error = &error as &dyn std::error::Error, "requests are not counted");
                None
            }
        }
    }
}

impl Room {
    /// Tells the client, by the names of the IETF's draft "`RateLimit` header fields for HTTP", third version, which
    /// clients know.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (HeaderName::from_static("ratelimit-limit"), u64::from(self.limit)),
            (HeaderName::from_static("ratelimit-remaining"), u64::from(self.remaining)),
            (HeaderName::from_static("ratelimit-reset"), self.reset_s),
        ] {
            headers.insert(name, HeaderValue::from(value));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_is_let_in_while_redis_is_away() {
        let nowhere = ViewsConfig { url: "redis://127.0.0.1:1".to_owned(), ..ViewsConfig::default() };
        let limiter = Limiter::new(&LimitsConfig { enabled: true, ..LimitsConfig::default() }, &nowhere).unwrap();
        for asked in [Asked::Request, Asked::RefusedToken] {
            assert_eq!(limiter.count(asked, &Counted::Address, "127.0.0.1").await, None, "{asked:?}");
        }
    }
}
