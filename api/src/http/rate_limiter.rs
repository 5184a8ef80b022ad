//! How much somebody asked, counted in `Redis`, so that all processes count together.
//!
//! While `Redis` is away each process counts for itself ([`local_counter`]): nobody waits for it, and nobody is without a
//! limit. What has to answer without `Redis`, as `/health` and the schema registry do, is always counted so.

mod local_counter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use projections::opportunity_views::RedisConfig;
use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use sha2::{Digest, Sha256};

use self::local_counter::{ChargeOutcome, LocalRateCounter};
use super::client_address::ClientAddress;
use crate::{auth::RateLimitSubject, config::RateLimitConfig};

const CHARGE_SCRIPT: &str = include_str!("limiter.lua");

/// Longest wait for the count.
const REDIS_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a server that did not answer is not asked.
const REDIS_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What an address asks without saying who it is, where `Redis` is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicRoute {
    /// Whether the process is alive: by itself, so that nothing else uses up the room of those who watch over it.
    Health,
    /// Everything else that needs no login.
    Other,
}

/// How somebody stands with their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimitStatus {
    /// Requests a minute.
    limit: u32,
    /// How many more are let in now.
    remaining: u32,
    /// In how many seconds all are let in again.
    reset_s: u64,
    /// In how many seconds the next one is; `None` where this one is.
    pub(crate) retry_after_s: Option<u64>,
}

/// Counts requests. Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct RateLimiter {
    config: RateLimitConfig,
    prefix: Arc<str>,
    connection: Option<ConnectionManager>,
    local: LocalRateCounter,
    /// Until when `Redis` is not asked, in milliseconds since `began`.
    redis_retry_at_ms: Arc<AtomicU64>,
    started_at: Instant,
}

impl RateLimiter {
    /// Over the `Redis` of the views. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`redis::RedisError`] when the URL is none.
    pub(crate) fn new(config: &RateLimitConfig, redis: &RedisConfig) -> Result<Self, redis::RedisError> {
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(redis.url.as_str())?, manager)?;
        let prefix = format!("{}limit:", redis.key_prefix).into();
        Ok(Self { prefix, connection: Some(connection), ..Self::local_only(config) })
    }

    /// One that asks no `Redis`.
    pub(crate) fn local_only(config: &RateLimitConfig) -> Self {
        Self {
            config: config.clone(),
            prefix: "".into(),
            connection: None,
            local: LocalRateCounter::new(),
            redis_retry_at_ms: Arc::default(),
            started_at: Instant::now(),
        }
    }

    /// One that lets everybody in.
    #[cfg(test)]
    pub(crate) fn unlimited() -> Self {
        Self::local_only(&RateLimitConfig { enabled: false, ..RateLimitConfig::default() })
    }

    /// Whether the client's address is told by a proxy.
    pub(crate) fn trusts_forwarded(&self) -> bool {
        self.config.trust_forwarded
    }

    /// What a batch of events costs, in requests, beside the request itself.
    pub(crate) fn cost_of_events(&self, events: usize) -> u32 {
        extra_requests(events, self.config.events_per_request)
    }

    /// What a document of that complexity costs, in requests, beside the request itself.
    pub(crate) fn cost_of_document(&self, complexity: usize) -> u32 {
        extra_requests(complexity, self.config.complexity_per_request)
    }

    /// Charges what somebody asks, in requests; `None` where nothing is counted. What costs more than a minute has room
    /// for is let in where nothing was asked for a minute.
    pub(crate) async fn charge(
        &self,
        who: &RateLimitSubject,
        address: &ClientAddress,
        cost: u32,
    ) -> Option<RateLimitStatus> {
        let (kind, id, limit) = match who {
            RateLimitSubject::Unlimited => return None,
            RateLimitSubject::Address => ("address", address.as_str(), self.config.per_address),
            RateLimitSubject::User(user) => ("user", user.as_str(), self.config.per_user),
            RateLimitSubject::Key(key) => ("key", key.as_str(), self.config.per_key),
        };
        self.charge_counter(kind, id, limit, i32::try_from(cost).unwrap_or(i32::MAX)).await
    }

    /// Charges an address a token or key that is none, or may be none.
    pub(crate) async fn charge_refused_token(&self, address: &ClientAddress) -> Option<RateLimitStatus> {
        self.charge_counter("refused", address.as_str(), self.config.refused_tokens, 1).await
    }

    /// Gives an address back what [`Self::charge_refused_token`] charged: the key was good.
    pub(crate) async fn refund_refused_token(&self, address: &ClientAddress) {
        self.charge_counter("refused", address.as_str(), self.config.refused_tokens, -1).await;
    }

    /// Charges an address one request for a page, or somebody with a login for a request; without asking `Redis`.
    pub(crate) fn charge_public_request(&self, page: PublicRoute, address: &ClientAddress) -> Option<RateLimitStatus> {
        let kind = match page {
            PublicRoute::Health => "health",
            PublicRoute::Other => "page",
        };
        self.config.enabled.then(|| self.charge_locally(kind, address.as_str(), self.config.pages_per_address, 1))
    }

    /// Charges one who has shown the login of a service without `Redis` one request.
    pub(crate) fn charge_login(&self, login: &str) -> Option<RateLimitStatus> {
        self.config.enabled.then(|| self.charge_locally("login", login, self.config.per_key, 1))
    }

    /// Charges an address a login that is none; without asking `Redis`.
    pub(crate) fn charge_refused_login(&self, address: &ClientAddress) -> Option<RateLimitStatus> {
        let limit = self.config.refused_tokens;
        self.config.enabled.then(|| self.charge_locally("refused", address.as_str(), limit, 1))
    }

    async fn charge_counter(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> Option<RateLimitStatus> {
        if !self.config.enabled {
            return None;
        }
        let limit = limit.max(1);
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let cost = cost.min(most);
        if let Some(charged) = self.charge_in_redis(kind, id, limit, cost).await {
            return Some(RateLimitStatus::from_charge(limit, charged));
        }
        Some(self.charge_locally(kind, id, limit, cost))
    }

    fn charge_locally(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> RateLimitStatus {
        let limit = limit.max(1);
        RateLimitStatus::from_charge(limit, self.local.charge(&format!("{kind}:{id}"), limit, cost))
    }

    /// `None` where `Redis` is not there to count.
    async fn charge_in_redis(&self, kind: &'static str, id: &str, limit: u32, cost: i32) -> Option<ChargeOutcome> {
        let mut connection = self.connection.clone()?;
        let now_ms = || u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now_ms() < self.redis_retry_at_ms.load(Ordering::Relaxed) {
            return None;
        }
        // Names of users are of any length and of any letters.
        let key = format!("{}{kind}:{:x}", self.prefix, Sha256::digest(id));
        let mut call = redis::cmd("EVAL");
        call.arg(CHARGE_SCRIPT).arg(1).arg(key).arg(limit).arg(cost);
        match call.query_async::<(bool, u32, u64, u64)>(&mut connection).await {
            Ok((is_let_in, remaining, wait_ms, reset_ms)) => {
                Some(ChargeOutcome { is_allowed: is_let_in, remaining, retry_after_ms: wait_ms, reset_ms })
            }
            Err(error) => {
                let pause_ms = u64::try_from(REDIS_RETRY_DELAY.as_millis()).unwrap_or(u64::MAX);
                self.redis_retry_at_ms.store(now_ms().saturating_add(pause_ms), Ordering::Relaxed);
                tracing::warn!(error = &error as &dyn std::error::Error, "requests are counted by this process alone");
                None
            }
        }
    }
}

/// How many requests so much is, of which one request holds so much, beside the first.
fn extra_requests(much: usize, of_one: usize) -> u32 {
    u32::try_from(much.div_ceil(of_one.max(1)).saturating_sub(1)).unwrap_or(u32::MAX)
}

impl RateLimitStatus {
    fn from_charge(limit: u32, charged: ChargeOutcome) -> Self {
        Self {
            limit,
            remaining: charged.remaining,
            reset_s: charged.reset_ms.div_ceil(1_000),
            retry_after_s: (!charged.is_allowed).then(|| charged.retry_after_ms.div_ceil(1_000).max(1)),
        }
    }

    /// Tells the client, by the names of the IETF's draft "`RateLimit` header fields for HTTP", third version, which
    /// clients know.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
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
        let nowhere = RedisConfig { url: "redis://127.0.0.1:1".to_owned(), ..RedisConfig::default() };
        RateLimiter::new(limits, &nowhere).unwrap()
    }

    #[tokio::test]
    async fn while_redis_is_away_a_process_counts_for_itself() {
        let limiter =
            limiter_without_redis(&RateLimitConfig { per_address: 3, refused_tokens: 1, ..RateLimitConfig::default() });
        let address = ClientAddress::from_text("192.0.2.7");
        let mut let_in = vec![];
        for cost in [1, 2, 1] {
            let room = limiter.charge(&RateLimitSubject::Address, &address, cost).await.unwrap();
            let_in.push((room.retry_after_s.is_none(), room.remaining));
        }
        assert_eq!(let_in, [(true, 2), (true, 0), (false, 0)]);
        assert_eq!(limiter.charge_refused_token(&address).await.unwrap().retry_after_s, None);
        assert!(limiter.charge_refused_token(&address).await.unwrap().retry_after_s.is_some());
        limiter.refund_refused_token(&address).await;
        assert_eq!(limiter.charge_refused_token(&address).await.unwrap().retry_after_s, None);
        assert_eq!(limiter.charge(&RateLimitSubject::Unlimited, &address, 1).await, None);
    }

    #[tokio::test]
    async fn what_costs_more_than_a_minute_has_room_for_is_let_in_once_a_minute() {
        let limiter = limiter_without_redis(&RateLimitConfig { per_user: 10, ..RateLimitConfig::default() });
        let (user, address) = (RateLimitSubject::User("ann".to_owned()), ClientAddress::from_text("192.0.2.7"));
        let room = limiter.charge(&user, &address, 1_000).await.unwrap();
        assert_eq!((room.retry_after_s, room.remaining), (None, 0));
        assert!(limiter.charge(&user, &address, 1).await.unwrap().retry_after_s.is_some());
    }

    #[test]
    fn events_cost_what_they_are_many() {
        let limiter =
            RateLimiter::local_only(&RateLimitConfig { events_per_request: 50, ..RateLimitConfig::default() });
        let costs = [0, 1, 50, 51, 500, 5_000].map(|events| limiter.cost_of_events(events));
        assert_eq!(costs, [0, 0, 0, 1, 9, 99]);
    }
}
