//! The connection to `Redis`, and telling each event once.

use std::sync::Arc;

use redis::{Client, FromRedisValue, Pipeline, RedisError, RedisResult, aio::ConnectionManager};

use super::ChangeNotification;
use crate::{
    QueryError,
    opportunity_views::{RedisConfig, connect, scan_command, unavailable_error},
    runtime::ProjectionError,
};

/// Tells each event once.
const PUBLISH_SCRIPT: &str = include_str!("tell.lua");

/// Events that are told in one call of the script: others wait at the server for as long as it runs.
const CHANGES_PER_CALL: usize = 500;

/// How long it is remembered how far a stream was told, in seconds. A broker repeats what was not committed, which is
/// minutes old; and a worker that was away for longer tells at most one batch again.
const SEQUENCE_TTL_S: u64 = 60 * 60;

/// Where subscribers are told.
#[derive(Clone)]
pub struct ChangeFeed {
    connection: ConnectionManager,
    client: Client,
    prefix: Arc<str>,
}

impl ChangeFeed {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (client, connection) = connect(config)?;
        Ok(Self { connection, client, prefix: format!("{}live:", config.key_prefix).into() })
    }

    /// Tells what was not told yet, in order; answers how many that were.
    pub(super) async fn publish_changes(&self, changes: &[ChangeNotification]) -> Result<u64, ProjectionError> {
        let mut told = 0;
        for some in changes.chunks(CHANGES_PER_CALL) {
            let mut call = redis::cmd("EVAL");
            call.arg(PUBLISH_SCRIPT).arg(some.len());
            for change in some {
                call.arg(self.sequence_key(change));
            }
            call.arg(SEQUENCE_TTL_S);
            for change in some {
                let message = serde_json::to_string(change).map_err(ProjectionError::poison)?;
                call.arg(change.sequence).arg(format!("{}{}", self.prefix, change.channel())).arg(message);
            }
            let mut pipeline = redis::pipe();
            pipeline.add_command(call);
            let (some,): (u64,) = self.send_with_retry(&pipeline).await.map_err(classify_error)?;
            told += some;
        }
        Ok(told)
    }

    /// Whether this event was told, or one after it of the same stream.
    pub(super) async fn has_published(&self, change: &ChangeNotification) -> Result<bool, QueryError> {
        let (told,): (Option<u64>,) =
            self.send_with_retry(redis::pipe().get(self.sequence_key(change))).await.map_err(unavailable_error)?;
        Ok(told.unwrap_or_default() >= change.sequence)
    }

    /// Forgets what was told.
    pub(super) async fn delete_sequence_keys(&self) -> Result<(), QueryError> {
        let (prefix, mut cursor) = (format!("{}told:", self.prefix), 0_u64);
        loop {
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) =
                self.send_with_retry(&scan_command(&prefix, cursor)).await.map_err(unavailable_error)?;
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

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What the name of every channel begins with; the tenant and the context follow.
    pub fn channel_prefix(&self) -> &str {
        &self.prefix
    }

    fn sequence_key(&self, change: &ChangeNotification) -> String {
        format!("{}told:{}:{}", self.prefix, change.aggregate_type, change.aggregate_id)
    }

    async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            // The first use after a restart of the server only finds out that the connection is broken. Asking twice is
            // safe: an event is told once at most.
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }
}

/// A key of ours that holds something else stands for one stream, anything else for the server.
fn classify_error(error: RedisError) -> ProjectionError {
    match error.code() {
        Some("WRONGTYPE") => ProjectionError::refused(error),
        _ => ProjectionError::unavailable(unavailable_error(error)),
    }
}
