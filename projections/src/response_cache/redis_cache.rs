//! The `Redis` client of the response cache: positions of invalidations, and cached responses.

use std::sync::Arc;

use redis::{FromRedisValue, Pipeline, RedisResult, aio::ConnectionManager};
use sha2::{Digest, Sha256};

use super::CacheInvalidation;
use crate::{
    QueryError,
    opportunity_views::{RedisConfig, connect, scan_command, unavailable_error},
    runtime::ProjectionError,
};

/// Advances a position, never moves it back: partitions are read concurrently.
const RECORD_POSITION_SCRIPT: &str = "local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return math.max(known, tonumber(ARGV[1]))";

/// Time to live of an invalidation's position, in seconds: longer than that of a response.
const POSITION_TTL_S: u64 = 2 * 60 * 60;

/// Time to live of a response, in seconds.
const RESPONSE_TTL_S: u64 = 5 * 60;

/// Longest response that is cached, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// A query for the latest views and clicks of a tenant's user, on a page, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitActionsQuery {
    /// The tenant that owns the data.
    pub tenant: String,
    /// Restricts the query to this user.
    pub user_id: Option<String>,
    /// Restricts the query to this page.
    pub page_url: Option<String>,
    /// Most events to return, the latest ones.
    pub first: u32,
}

/// The result of a cache lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLookup {
    /// The cached response; no event has invalidated it.
    Hit(String),
    /// No valid response is cached. A response of a read model that has reached this position may be stored.
    Miss {
        /// Position of the last event that concerns the query; 0 when none is known.
        position: u64,
    },
}

/// The cache of responses to [`VisitActionsQuery`].
#[derive(Clone)]
pub struct ResponseCache {
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl ResponseCache {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        Ok(Self { connection, prefix: format!("{}answers:", config.key_prefix).into() })
    }

    /// Looks up the response to a query; it is valid while no later event concerns the query.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored value is unreadable.
    pub async fn look_up(&self, question: &VisitActionsQuery) -> Result<CacheLookup, QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.hmget(self.response_key(question), &["since", "answer"]);
        for part in self.position_keys(question) {
            pipeline.get(part);
        }
        let answers: Vec<redis::Value> = self.send_with_retry(&pipeline).await.map_err(unavailable_error)?;
        let mut answers = answers.into_iter();
        let kept = answers.next().unwrap_or(redis::Value::Nil);
        let (good_for, answer): (Option<u64>, Option<String>) =
            redis::from_redis_value(kept).map_err(crate::opportunity_views::unreadable_error)?;
        let mut since = 0;
        for last in answers {
            let last: Option<u64> =
                redis::from_redis_value(last).map_err(crate::opportunity_views::unreadable_error)?;
            since = since.max(last.unwrap_or_default());
        }
        Ok(match answer {
            Some(answer) if good_for == Some(since) => CacheLookup::Hit(answer),
            Some(_) | None => CacheLookup::Miss { position: since },
        })
    }

    /// Stores a response that is valid for position `since`; ignores one above the size limit.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn store_response(
        &self,
        question: &VisitActionsQuery,
        since: u64,
        answer: &str,
    ) -> Result<(), QueryError> {
        if answer.len() > MAX_RESPONSE_BYTES {
            return Ok(());
        }
        let key = self.response_key(question);
        let mut pipeline = redis::pipe();
        pipeline.hset(&key, "since", since).ignore().hset(&key, "answer", answer).ignore();
        pipeline.expire(&key, RESPONSE_TTL_S.cast_signed()).ignore();
        self.send_with_retry::<()>(pipeline.atomic()).await.map_err(unavailable_error)
    }

    pub(super) async fn record_invalidations(&self, changes: &[CacheInvalidation]) -> Result<(), ProjectionError> {
        let mut pipeline = redis::pipe();
        for change in changes {
            for key in self.invalidation_keys(change) {
                pipeline
                    .cmd("EVAL")
                    .arg(RECORD_POSITION_SCRIPT)
                    .arg(1)
                    .arg(key)
                    .arg(change.position)
                    .arg(POSITION_TTL_S)
                    .ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        self.send_with_retry::<()>(&pipeline)
            .await
            .map_err(|error| ProjectionError::unavailable(unavailable_error(error)))
    }

    pub(super) async fn has_recorded(&self, change: &CacheInvalidation) -> Result<bool, QueryError> {
        for key in self.invalidation_keys(change) {
            let (last,): (Option<u64>,) =
                self.send_with_retry(redis::pipe().get(key)).await.map_err(unavailable_error)?;
            if last.unwrap_or_default() < change.position {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn delete_keys(&self) -> Result<(), QueryError> {
        let mut cursor = 0_u64;
        loop {
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) =
                self.send_with_retry(&scan_command(&self.prefix, cursor)).await.map_err(unavailable_error)?;
            if !keys.is_empty() {
                self.send_with_retry::<()>(redis::pipe().unlink(keys).ignore()).await.map_err(unavailable_error)?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    pub(super) async fn ping_server(&self) -> Result<(), QueryError> {
        self.send_with_retry::<(String,)>(redis::pipe().ping()).await.map(drop).map_err(unavailable_error)
    }

    fn invalidation_keys(&self, change: &CacheInvalidation) -> Vec<String> {
        let user = change.user_id.as_ref().map(|user| self.position_key(&change.tenant_id, "user", user));
        let page = change.page_url.as_ref().map(|page| self.position_key(&change.tenant_id, "page", page));
        user.into_iter().chain(page).collect()
    }

    fn position_keys(&self, question: &VisitActionsQuery) -> Vec<String> {
        let user = question.user_id.as_ref().map(|user| self.position_key(&question.tenant, "user", user));
        let page = question.page_url.as_ref().map(|page| self.position_key(&question.tenant, "page", page));
        user.into_iter().chain(page).collect()
    }

    /// Hashes the name, because names of users and pages have any length and any characters.
    fn position_key(&self, tenant: &str, kind: &str, name: &str) -> String {
        format!("{}last:{tenant}:{kind}:{:x}", self.prefix, Sha256::digest(name))
    }

    fn response_key(&self, question: &VisitActionsQuery) -> String {
        let VisitActionsQuery { tenant, user_id, page_url, first } = question;
        let asked = format!("{user_id:?}\n{page_url:?}\n{first}");
        format!("{}kept:{tenant}:{:x}", self.prefix, Sha256::digest(asked))
    }

    /// Sends a pipeline, and once more when the connection is broken. Repeating is safe: positions only grow.
    async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }
}
