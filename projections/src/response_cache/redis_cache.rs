//! The `Redis` client of the response cache: positions of invalidations, and cached responses about visits.

use std::{collections::BTreeMap, sync::Arc};

use domain::value::PUBLIC_TENANT;
use sha2::{Digest, Sha256};

use super::{CacheInvalidation, CacheSubject};
use crate::{
    QueryError,
    runtime::ProjectionError,
    storage::redis::{RedisClient, RedisConfig, RedisScript, ScriptCall, unavailable_error, unreadable_error},
};

/// Advances a position and never moves it back: partitions are read concurrently.
static RECORD_POSITION: RedisScript = RedisScript::new(
    "local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return math.max(known, tonumber(ARGV[1]))",
);

/// Time to live of an invalidation's position, in seconds: longer than a response's.
const POSITION_TTL_S: u64 = 2 * 60 * 60;

/// Time to live of a response, in seconds.
const RESPONSE_TTL_S: u64 = 5 * 60;

/// Longest response that is cached, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// A query for a tenant's latest views and clicks: of one user, on one page, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitActionsQuery {
    /// The tenant that owns the data.
    pub tenant: String,
    /// Restricts the query to this user.
    pub user_id: Option<String>,
    /// Restricts the query to this page.
    pub page_url: Option<String>,
    /// Most events to return; the latest ones are returned.
    pub first: u32,
}

/// The result of a cache lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLookup {
    /// The cached response; no event has invalidated it.
    Hit(String),
    /// No valid response is cached. A response from a read model that has applied this position may be stored.
    Miss {
        /// Position of the last event that concerns the query; 0 when none is known.
        position: u64,
    },
}

/// The cache of responses to [`VisitActionsQuery`].
#[derive(Clone)]
pub struct ResponseCache {
    client: RedisClient,
    prefix: Arc<str>,
}

impl ResponseCache {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        Ok(Self { client: RedisClient::new(config)?, prefix: format!("{}answers:", config.key_prefix).into() })
    }

    /// Looks up the response to a query; it is valid while no later event concerns the query.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored value is unreadable.
    pub async fn look_up(&self, query: &VisitActionsQuery) -> Result<CacheLookup, QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.hmget(self.response_key(query), &["since", "answer"]);
        for key in self.position_keys(query) {
            pipeline.get(key);
        }
        let answers: Vec<redis::Value> = self.client.run_pipeline(&pipeline).await?;
        let mut answers = answers.into_iter();
        let cached = answers.next().unwrap_or(redis::Value::Nil);
        let (valid_for, response): (Option<u64>, Option<String>) =
            redis::from_redis_value(cached).map_err(unreadable_error)?;
        let mut position = 0;
        for answer in answers {
            let last: Option<u64> = redis::from_redis_value(answer).map_err(unreadable_error)?;
            position = position.max(last.unwrap_or_default());
        }
        Ok(match response {
            Some(response) if valid_for == Some(position) => CacheLookup::Hit(response),
            Some(_) | None => CacheLookup::Miss { position },
        })
    }

    /// The position of the last event about an opportunity; 0 when none is known. What is derived from opportunities up to
    /// this position is valid while it stays the same.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored value is unreadable.
    pub async fn opportunities_position(&self) -> Result<u64, QueryError> {
        let key = self.position_key(PUBLIC_TENANT, &CacheSubject::Opportunities);
        let (position,): (Option<u64>,) = self.client.run_pipeline(redis::pipe().get(key)).await?;
        Ok(position.unwrap_or_default())
    }

    /// Stores a response that is valid for `position`, the one of the [`CacheLookup::Miss`]; ignores one above the size
    /// limit.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn store_response(
        &self,
        query: &VisitActionsQuery,
        position: u64,
        response: &str,
    ) -> Result<(), QueryError> {
        if response.len() > MAX_RESPONSE_BYTES {
            return Ok(());
        }
        let key = self.response_key(query);
        let mut pipeline = redis::pipe();
        pipeline.hset(&key, "since", position).ignore().hset(&key, "answer", response).ignore();
        pipeline.expire(&key, RESPONSE_TTL_S.cast_signed()).ignore();
        self.client.run_pipeline::<()>(pipeline.atomic()).await
    }

    pub(super) async fn record_invalidations(&self, changes: &[CacheInvalidation]) -> Result<(), ProjectionError> {
        // A batch of events about the same subject is one call.
        let mut positions = BTreeMap::<String, u64>::new();
        for change in changes {
            for key in self.invalidation_keys(change) {
                let position = positions.entry(key).or_default();
                *position = change.position.max(*position);
            }
        }
        if positions.is_empty() {
            return Ok(());
        }
        let unavailable = |error| ProjectionError::unavailable(unavailable_error(error));
        let script = self.client.load_script(&RECORD_POSITION).await.map_err(unavailable)?;
        let calls = positions.into_iter().map(|(key, position)| {
            let mut call = ScriptCall::new(script, &[key]);
            call.add_argument(position).add_argument(POSITION_TTL_S);
            call
        });
        let answers = self.client.call_script(script, calls.collect()).await.map_err(unavailable)?;
        answers.into_iter().try_for_each(|answer| answer.map(drop)).map_err(unavailable)
    }

    pub(super) async fn has_recorded(&self, change: &CacheInvalidation) -> Result<bool, QueryError> {
        for key in self.invalidation_keys(change) {
            let (last,): (Option<u64>,) = self.client.run_pipeline(redis::pipe().get(key)).await?;
            if last.unwrap_or_default() < change.position {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn delete_keys(&self) -> Result<(), QueryError> {
        self.client.unlink_keys(&self.prefix).await
    }

    pub(super) async fn ping_server(&self) -> Result<(), QueryError> {
        self.client.ping().await
    }

    fn invalidation_keys(&self, change: &CacheInvalidation) -> Vec<String> {
        change.subjects.iter().map(|subject| self.position_key(&change.tenant_id, subject)).collect()
    }

    fn position_keys(&self, query: &VisitActionsQuery) -> Vec<String> {
        let user = query.user_id.clone().map(CacheSubject::User);
        let subjects = user.into_iter().chain(query.page_url.clone().map(CacheSubject::Page));
        subjects.map(|subject| self.position_key(&query.tenant, &subject)).collect()
    }

    /// The name is hashed, because names of users and pages may have any length and any characters.
    fn position_key(&self, tenant: &str, subject: &CacheSubject) -> String {
        let subject = match subject {
            CacheSubject::User(name) => format!("user:{:x}", Sha256::digest(name)),
            CacheSubject::Page(url) => format!("page:{:x}", Sha256::digest(url)),
            CacheSubject::Opportunities => "opportunities".to_owned(),
        };
        format!("{}{{{tenant}}}:last:{subject}", self.prefix)
    }

    fn response_key(&self, query: &VisitActionsQuery) -> String {
        let VisitActionsQuery { tenant, user_id, page_url, first } = query;
        let parameters = format!("{user_id:?}\n{page_url:?}\n{first}");
        format!("{}{{{tenant}}}:kept:{:x}", self.prefix, Sha256::digest(parameters))
    }
}
