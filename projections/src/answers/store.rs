//! The connection to `Redis`: what is new, and what was answered.

use std::sync::Arc;

use redis::{FromRedisValue, Pipeline, RedisResult, aio::ConnectionManager};
use sha2::{Digest, Sha256};

use super::AnswersChange;
use crate::{
    QueryError,
    runtime::ProjectionError,
    views::{ViewsConfig, connect, scan, unavailable},
};

/// Moves a position on, never back: partitions are read side by side.
const NOTE: &str = "local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return math.max(known, tonumber(ARGV[1]))";

/// How long it is remembered that something is new, in seconds: longer than any answer is kept.
const REMEMBERED_S: u64 = 2 * 60 * 60;

/// How long an answer is kept, in seconds.
const KEPT_S: u64 = 5 * 60;

/// Longest answer that is kept, in bytes.
const MAX_KEPT: usize = 256 * 1024;

/// What is asked about one tenant's users and pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
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
pub enum Standing {
    /// It was answered so, and nothing has happened since.
    Answered(String),
    /// It has to be answered; what is answered by a read model that is as far as this position can be kept.
    Open {
        /// The position of the last event about it; 0 where none is known.
        since: u64,
    },
}

/// Keeps answers.
#[derive(Clone)]
pub struct Answers {
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl Answers {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &ViewsConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        Ok(Self { connection, prefix: format!("{}answers:", config.key_prefix).into() })
    }

    /// Whether a question was answered since the last event about it.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn standing(&self, question: &Question) -> Result<Standing, QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.hmget(self.kept_key(question), &["since", "answer"]);
        for part in self.parts(question) {
            pipeline.get(part);
        }
        let answers: Vec<redis::Value> = self.ask(&pipeline).await.map_err(unavailable)?;
        let mut answers = answers.into_iter();
        let kept = answers.next().unwrap_or(redis::Value::Nil);
        let (good_for, answer): (Option<u64>, Option<String>) =
            redis::from_redis_value(kept).map_err(crate::views::unreadable)?;
        let mut since = 0;
        for last in answers {
            let last: Option<u64> = redis::from_redis_value(last).map_err(crate::views::unreadable)?;
            since = since.max(last.unwrap_or_default());
        }
        Ok(match answer {
            Some(answer) if good_for == Some(since) => Standing::Answered(answer),
            Some(_) | None => Standing::Open { since },
        })
    }

    /// Keeps an answer that is good for the position `since`.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn keep(&self, question: &Question, since: u64, answer: &str) -> Result<(), QueryError> {
        if answer.len() > MAX_KEPT {
            return Ok(());
        }
        let key = self.kept_key(question);
        let mut pipeline = redis::pipe();
        pipeline.hset(&key, "since", since).ignore().hset(&key, "answer", answer).ignore();
        pipeline.expire(&key, KEPT_S.cast_signed()).ignore();
        self.ask::<()>(pipeline.atomic()).await.map_err(unavailable)
    }

    pub(super) async fn note(&self, changes: &[AnswersChange]) -> Result<(), ProjectionError> {
        let mut pipeline = redis::pipe();
        for change in changes {
            for key in self.touched(change) {
                pipeline.cmd("EVAL").arg(NOTE).arg(1).arg(key).arg(change.position).arg(REMEMBERED_S).ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        self.ask::<()>(&pipeline).await.map_err(|error| ProjectionError::unavailable(unavailable(error)))
    }

    pub(super) async fn has_noted(&self, change: &AnswersChange) -> Result<bool, QueryError> {
        for key in self.touched(change) {
            let (last,): (Option<u64>,) = self.ask(redis::pipe().get(key)).await.map_err(unavailable)?;
            if last.unwrap_or_default() < change.position {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn forget(&self) -> Result<(), QueryError> {
        let mut cursor = 0_u64;
        loop {
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) =
                self.ask(&scan(&self.prefix, cursor)).await.map_err(unavailable)?;
            if !keys.is_empty() {
                self.ask::<()>(redis::pipe().unlink(keys).ignore()).await.map_err(unavailable)?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    pub(super) async fn answers(&self) -> Result<(), QueryError> {
        self.ask::<(String,)>(redis::pipe().ping()).await.map(drop).map_err(unavailable)
    }

    fn touched(&self, change: &AnswersChange) -> Vec<String> {
        let user = change.user_id.as_ref().map(|user| self.last_key(&change.tenant_id, "user", user));
        let page = change.page_url.as_ref().map(|page| self.last_key(&change.tenant_id, "page", page));
        user.into_iter().chain(page).collect()
    }

    fn parts(&self, question: &Question) -> Vec<String> {
        let user = question.user_id.as_ref().map(|user| self.last_key(&question.tenant, "user", user));
        let page = question.page_url.as_ref().map(|page| self.last_key(&question.tenant, "page", page));
        user.into_iter().chain(page).collect()
    }

    /// Names of users and pages are of any length and of any letters.
    fn last_key(&self, tenant: &str, kind: &str, name: &str) -> String {
        format!("{}last:{tenant}:{kind}:{:x}", self.prefix, Sha256::digest(name))
    }

    fn kept_key(&self, question: &Question) -> String {
        let Question { tenant, user_id, page_url, first } = question;
        let asked = format!("{user_id:?}\n{page_url:?}\n{first}");
        format!("{}kept:{tenant}:{:x}", self.prefix, Sha256::digest(asked))
    }

    /// Asks, and once more where the connection turns out to be broken. Asking twice is safe: positions only grow.
    async fn ask<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }
}
