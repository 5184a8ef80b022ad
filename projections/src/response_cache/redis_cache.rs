//! The connection to `Redis`: what is new, and what was answered.

use std::sync::Arc;

use redis::{FromRedisValue, Pipeline, RedisResult, aio::ConnectionManager};
use sha2::{Digest, Sha256};

use super::CacheInvalidation;
use crate::{
    QueryError,
    opportunity_views::{RedisConfig, connect, scan_command, unavailable_error},
    runtime::ProjectionError,
};

/// Moves a position on, never back: partitions are read side by side.
const RECORD_POSITION_SCRIPT: &str = "local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return math.max(known, tonumber(ARGV[1]))";

/// How long it is remembered that something is new, in seconds: longer than any answer is kept.
const POSITION_TTL_S: u64 = 2 * 60 * 60;

/// How long an answer is kept, in seconds.
const RESPONSE_TTL_S: u64 = 5 * 60;

/// Longest answer that is kept, in bytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// What is asked about one tenant's users and pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitActionsQuery {
    /// Whose data.
    pub tenant: String,
    /// What this user did.
    pub user_id: Option<String>,
    /// What was done on this page.
    pub page_url: Option<String>,
    /// How many events are wanted, the last ones.
    pub first: u32,
}

/// What is known of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLookup {
    /// It was answered so, and nothing has happened since.
    Hit(String),
    /// It has to be answered; what is answered by a read model that is as far as this position can be kept.
    Miss {
        /// The position of the last event about it; 0 where none is known.
        position: u64,
    },
}

/// Keeps answers.
#[derive(Clone)]
pub struct ResponseCache {
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl ResponseCache {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        Ok(Self { connection, prefix: format!("{}answers:", config.key_prefix).into() })
    }

    /// Whether a question was answered since the last event about it.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
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

    /// Keeps an answer that is good for the position `since`.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
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

    /// Names of users and pages are of any length and of any letters.
    fn position_key(&self, tenant: &str, kind: &str, name: &str) -> String {
        format!("{}last:{tenant}:{kind}:{:x}", self.prefix, Sha256::digest(name))
    }

    fn response_key(&self, question: &VisitActionsQuery) -> String {
        let VisitActionsQuery { tenant, user_id, page_url, first } = question;
        let asked = format!("{user_id:?}\n{page_url:?}\n{first}");
        format!("{}kept:{tenant}:{:x}", self.prefix, Sha256::digest(asked))
    }

    /// Asks, and once more where the connection turns out to be broken. Asking twice is safe: positions only grow.
    async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }
}
