//! Rate limits, counted in `Redis` so that all processes share one count.
//!
//! While `Redis` is unavailable each process counts for itself (`local_counter`): requests do not wait, and limits
//! still apply. Routes that must answer without `Redis`, such as `/health` and the schema registry, always count
//! locally.

mod local_counter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use projections::storage::redis::RedisConfig;
use redis_connections::RedisConnection;
use sha2::{Digest, Sha256};

use self::local_counter::{ChargeOutcome, LocalRateCounter};
use super::client_address::ClientAddress;
use crate::{auth::RateLimitSubject, config::RateLimitConfig};

const CHARGE_SCRIPT: &str = include_str!("limiter.lua");

/// Time limit of a call to `Redis`.
const REDIS_TIMEOUT: Duration = Duration::from_millis(250);

/// How long `Redis` is not called after a failed call.
const REDIS_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Routes without login, counted by address and without `Redis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicRoute {
    /// `/health`, counted separately so that other requests cannot use up the limit of health checks.
    Health,
    /// Everything else that needs no login.
    Other,
}

/// A caller's state under its rate limit, after a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests per minute.
    limit: u32,
    /// Requests that would be allowed now.
    remaining: u32,
    /// Seconds until the whole limit is available again.
    reset_s: u64,
    /// Seconds until this request would be allowed; `None` if it is allowed.
    pub retry_after_s: Option<u64>,
}

/// Counts requests. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub struct RateLimiter {
    config: RateLimitConfig,
    prefix: Arc<str>,
    connection: Option<RedisConnection>,
    local: LocalRateCounter,
    /// Until when `Redis` is not called, in milliseconds since `started_at`.
    redis_retry_at_ms: Arc<AtomicU64>,
    started_at: Instant,
}

impl RateLimiter {
    /// Creates a limiter that counts in the `Redis` of the views. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`redis::RedisError`] when the URL is invalid.
    pub fn new(config: &RateLimitConfig, redis: &RedisConfig) -> Result<Self, redis::RedisError> {
        // A repeated charge would count twice.
        let connection = redis.endpoint()?.open_connection_without_retries(REDIS_TIMEOUT)?;
        let prefix = format!("{}limit:", redis.key_prefix).into();
        Ok(Self { prefix, connection: Some(connection), ..Self::local_only(config) })
    }

    /// Creates a limiter that counts in this process only, without `Redis`.
    pub fn local_only(config: &RateLimitConfig) -> Self {
        Self {
            config: config.clone(),
            prefix: "".into(),
            connection: None,
            local: LocalRateCounter::new(),
            redis_retry_at_ms: Arc::default(),
            started_at: Instant::now(),
        }
    }

    /// Allows every request.
    #[cfg(test)]
    pub(crate) fn unlimited() -> Self {
        Self::local_only(&RateLimitConfig { enabled: false, ..RateLimitConfig::default() })
    }

    /// Whether the client's address is taken from a proxy's headers.
    pub fn trusts_forwarded(&self) -> bool {
        self.config.trust_forwarded
    }

    /// The requests that a batch of events counts for, beyond the request itself.
    pub(crate) fn requests_for_events(&self, events: usize) -> u32 {
        extra_requests(events, self.config.events_per_request)
    }

    /// The requests that a GraphQL document of this query cost counts for, beyond the request itself.
    pub(crate) fn requests_for_query_cost(&self, query_cost: usize) -> u32 {
        extra_requests(query_cost, self.config.complexity_per_request)
    }

    /// Charges `cost` requests; `None` if no limit applies. A cost above the limit of a minute is allowed when
    /// nothing was charged for a minute.
    pub(crate) async fn charge(
        &self,
        subject: &RateLimitSubject,
        address: &ClientAddress,
        cost: u32,
    ) -> Option<RateLimitStatus> {
        let (kind, id, limit) = match subject {
            RateLimitSubject::Unlimited => return None,
            RateLimitSubject::Address => ("address", address.as_str(), self.config.per_address),
            RateLimitSubject::User(user) => ("user", user.as_str(), self.config.per_user),
            RateLimitSubject::Key(key) => ("key", key.as_str(), self.config.per_key),
        };
        self.charge_counter(kind, id, limit, i32::try_from(cost).unwrap_or(i32::MAX)).await
    }

    /// Charges an address for a token or key that is invalid or not yet known to be valid.
    pub(crate) async fn charge_unverified_credential(&self, address: &ClientAddress) -> Option<RateLimitStatus> {
        self.charge_counter("refused", address.as_str(), self.config.refused_tokens, 1).await
    }

    /// Refunds a charge of [`Self::charge_unverified_credential`]: the key is valid.
    pub(crate) async fn refund_unverified_credential(&self, address: &ClientAddress) {
        self.charge_counter("refused", address.as_str(), self.config.refused_tokens, -1).await;
    }

    /// Charges an address one request to a route without login; does not use `Redis`.
    pub fn charge_public_request(&self, route: PublicRoute, address: &ClientAddress) -> Option<RateLimitStatus> {
        let kind = match route {
            PublicRoute::Health => "health",
            PublicRoute::Other => "page",
        };
        self.config.enabled.then(|| self.charge_locally(kind, address.as_str(), self.config.pages_per_address, 1))
    }

    /// Charges a login of the schema registry one request; does not use `Redis`.
    pub fn charge_login(&self, login: &str) -> Option<RateLimitStatus> {
        self.config.enabled.then(|| self.charge_locally("login", login, self.config.per_key, 1))
    }

    /// Charges an address for an invalid login; does not use `Redis`.
    pub fn charge_failed_login(&self, address: &ClientAddress) -> Option<RateLimitStatus> {
        let limit = self.config.refused_tokens;
        self.config.enabled.then(|| self.charge_locally("refused", address.as_str(), limit, 1))
    }

    async fn charge_counter(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> Option<RateLimitStatus> {
        if !self.config.enabled {
            return None;
        }
        let limit = limit.max(1);
        let max_cost = i32::try_from(limit).unwrap_or(i32::MAX);
        let cost = cost.min(max_cost);
        if let Some(outcome) = self.charge_in_redis(kind, id, limit, cost).await {
            return Some(RateLimitStatus::from_charge(limit, outcome));
        }
        Some(self.charge_locally(kind, id, limit, cost))
    }

    fn charge_locally(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> RateLimitStatus {
        let limit = limit.max(1);
        RateLimitStatus::from_charge(limit, self.local.charge(&format!("{kind}:{id}"), limit, cost))
    }

    /// `None` if `Redis` is unavailable or was recently.
    async fn charge_in_redis(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> Option<ChargeOutcome> {
        let mut connection = self.connection.clone()?;
        let now_ms = || u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now_ms() < self.redis_retry_at_ms.load(Ordering::Relaxed) {
            return None;
        }
        // User names have any length and any characters.
        let key = format!("{}{kind}:{:x}", self.prefix, Sha256::digest(id));
        let mut call = redis::cmd("EVAL");
        call.arg(CHARGE_SCRIPT).arg(1).arg(key).arg(limit).arg(cost);
        match call.query_async::<(bool, u32, u64, u64)>(&mut connection).await {
            Ok((is_allowed, remaining, retry_after_ms, reset_ms)) => {
                Some(ChargeOutcome { is_allowed, remaining, retry_after_ms, reset_ms })
            }
            Err(error) => {
                let retry_delay_ms = u64::try_from(REDIS_RETRY_DELAY.as_millis()).unwrap_or(u64::MAX);
                self.redis_retry_at_ms.store(now_ms().saturating_add(retry_delay_ms), Ordering::Relaxed);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "Redis unavailable, rate limits are counted by this process alone"
                );
                None
            }
        }
    }
}

/// Requests that `amount` units cost beyond the first, when one request covers `per_request` units.
fn extra_requests(amount: usize, per_request: usize) -> u32 {
    u32::try_from(amount.div_ceil(per_request.max(1)).saturating_sub(1)).unwrap_or(u32::MAX)
}

impl RateLimitStatus {
    /// Whether the charge exceeded the limit, so that the request is not allowed.
    pub fn is_exceeded(&self) -> bool {
        self.retry_after_s.is_some()
    }

    fn from_charge(limit: u32, outcome: ChargeOutcome) -> Self {
        Self {
            limit,
            remaining: outcome.remaining,
            reset_s: outcome.reset_ms.div_ceil(1_000),
            retry_after_s: (!outcome.is_allowed).then(|| outcome.retry_after_ms.div_ceil(1_000).max(1)),
        }
    }

    /// Writes the headers of the IETF draft "`RateLimit` header fields for HTTP", third version, which clients
    /// understand.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
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

    fn limiter_without_redis(limits: &RateLimitConfig) -> RateLimiter {
        let unreachable = RedisConfig { url: "redis://127.0.0.1:1".to_owned(), ..RedisConfig::default() };
        RateLimiter::new(limits, &unreachable).unwrap()
    }

    #[tokio::test]
    async fn without_redis_a_process_counts_locally() {
        let limiter =
            limiter_without_redis(&RateLimitConfig { per_address: 3, refused_tokens: 1, ..RateLimitConfig::default() });
        let address = ClientAddress::from_text("192.0.2.7");
        let mut outcomes = vec![];
        for cost in [1, 2, 1] {
            let status = limiter.charge(&RateLimitSubject::Address, &address, cost).await.unwrap();
            outcomes.push((status.retry_after_s.is_none(), status.remaining));
        }
        assert_eq!(outcomes, [(true, 2), (true, 0), (false, 0)]);
        assert_eq!(limiter.charge_unverified_credential(&address).await.unwrap().retry_after_s, None);
        assert!(limiter.charge_unverified_credential(&address).await.unwrap().is_exceeded());
        limiter.refund_unverified_credential(&address).await;
        assert_eq!(limiter.charge_unverified_credential(&address).await.unwrap().retry_after_s, None);
        assert_eq!(limiter.charge(&RateLimitSubject::Unlimited, &address, 1).await, None);
    }

    #[tokio::test]
    async fn a_request_that_costs_more_than_the_limit_is_allowed_once_a_minute() {
        let limiter = limiter_without_redis(&RateLimitConfig { per_user: 10, ..RateLimitConfig::default() });
        let (user, address) = (RateLimitSubject::User("ann".to_owned()), ClientAddress::from_text("192.0.2.7"));
        let status = limiter.charge(&user, &address, 1_000).await.unwrap();
        assert_eq!((status.retry_after_s, status.remaining), (None, 0));
        assert!(limiter.charge(&user, &address, 1).await.unwrap().is_exceeded());
    }

    #[test]
    fn the_cost_of_a_batch_grows_with_its_events() {
        let limiter =
            RateLimiter::local_only(&RateLimitConfig { events_per_request: 50, ..RateLimitConfig::default() });
        let costs = [0, 1, 50, 51, 500, 5_000].map(|events| limiter.requests_for_events(events));
        assert_eq!(costs, [0, 0, 0, 1, 9, 99]);
    }
}
