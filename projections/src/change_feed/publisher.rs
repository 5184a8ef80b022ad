//! The `Redis` client of the change feed; publishes each event once.

use std::sync::Arc;

use redis::{Client, FromRedisValue, Pipeline, RedisError, RedisResult, aio::ConnectionManager};

use super::ChangeNotification;
use crate::{
    QueryError,
    opportunity_views::{RedisConfig, connect, scan_command, unavailable_error},
    runtime::ProjectionError,
};

/// The script that publishes each event once.
const PUBLISH_SCRIPT: &str = include_str!("tell.lua");

/// Most events of one call of the script: the server serves no other client while it runs.
const CHANGES_PER_CALL: usize = 500;

/// Time to live of a stream's last published sequence, in seconds. A broker repeats uncommitted records, which are
/// minutes old; a worker that was down for longer repeats at most one batch.
const SEQUENCE_TTL_S: u64 = 60 * 60;

/// The change feed: publishes events to subscribers over `Redis` channels.
#[derive(Clone)]
pub struct ChangeFeed {
    connection: ConnectionManager,
    client: Client,
    prefix: Arc<str>,
}

impl ChangeFeed {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (client, connection) = connect(config)?;
        Ok(Self { connection, client, prefix: format!("{}live:", config.key_prefix).into() })
    }

    /// Publishes the changes that were not published before, in order; returns their number.
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

    /// Whether this event or a later one of the same stream was published.
    pub(super) async fn has_published(&self, change: &ChangeNotification) -> Result<bool, QueryError> {
        let (told,): (Option<u64>,) =
            self.send_with_retry(redis::pipe().get(self.sequence_key(change))).await.map_err(unavailable_error)?;
        Ok(told.unwrap_or_default() >= change.sequence)
    }

    /// Deletes the last published sequences of all streams.
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

    /// The prefix of all channel names; the tenant and the context follow.
    pub fn channel_prefix(&self) -> &str {
        &self.prefix
    }

    fn sequence_key(&self, change: &ChangeNotification) -> String {
        format!("{}told:{}:{}", self.prefix, change.aggregate_type, change.aggregate_id)
    }

    async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            // The first use after a restart of the server only detects that the connection is broken. Repeating is
            // safe: the script publishes an event at most once.
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }
}

/// Classifies an error: a key of another type affects one stream, any other error the whole server.
fn classify_error(error: RedisError) -> ProjectionError {
    match error.code() {
        Some("WRONGTYPE") => ProjectionError::refused(error),
        _ => ProjectionError::unavailable(unavailable_error(error)),
    }
}
