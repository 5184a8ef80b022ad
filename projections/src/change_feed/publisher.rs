//! The `Redis` client of the change feed; publishes each event once.

use std::sync::Arc;

use redis::RedisError;

use super::ChangeNotification;
use crate::{
    QueryError,
    runtime::ProjectionError,
    storage::redis::{LoadedScript, RedisClient, RedisConfig, RedisScript, ScriptCall, unavailable_error},
};

/// The script that publishes each event once.
static PUBLISH_SCRIPT: RedisScript = RedisScript::new(include_str!("publish.lua"));

/// Maximum number of events in one script call: `Redis` serves no other client while a script runs.
const CHANGES_PER_CALL: usize = 500;

/// Time to live of a stream's last published sequence, in seconds. Kafka delivers records with uncommitted offsets
/// again, which are minutes old. A worker that was down for longer publishes at most one batch again.
const SEQUENCE_TTL_S: u64 = 60 * 60;

/// The change feed: publishes events to subscribers over `Redis` channels.
#[derive(Clone)]
pub struct ChangeFeed {
    client: RedisClient,
    prefix: Arc<str>,
}

impl ChangeFeed {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        Ok(Self { client: RedisClient::new(config)?, prefix: format!("{}live:", config.key_prefix).into() })
    }

    /// Publishes the changes that were not published before, in order; returns their number.
    pub(super) async fn publish_changes(&self, changes: &[ChangeNotification]) -> Result<u64, ProjectionError> {
        if changes.is_empty() {
            return Ok(0);
        }
        let script = self.client.load_script(&PUBLISH_SCRIPT).await.map_err(classify_error)?;
        let calls = self.publish_calls(script, changes)?;
        let mut published = 0;
        for result in self.client.call_script(script, calls).await.map_err(classify_error)? {
            let count = result.and_then(|value| Ok(redis::from_redis_value::<u64>(value)?));
            published += count.map_err(classify_error)?;
        }
        Ok(published)
    }

    /// The calls that publish the changes in order. The changes of one call are consecutive and of one tenant.
    fn publish_calls(
        &self,
        script: LoadedScript,
        changes: &[ChangeNotification],
    ) -> Result<Vec<ScriptCall>, ProjectionError> {
        let mut calls = vec![];
        let runs = changes.chunk_by(|change, next| change.tenant_id == next.tenant_id);
        for chunk in runs.flat_map(|run| run.chunks(CHANGES_PER_CALL)) {
            let keys: Vec<_> = chunk.iter().map(|change| self.sequence_key(change)).collect();
            let mut call = ScriptCall::new(script, &keys);
            call.add_argument(SEQUENCE_TTL_S);
            for change in chunk {
                let message = serde_json::to_string(change).map_err(ProjectionError::poison)?;
                call.add_argument(change.sequence).add_argument(format!("{}{}", self.prefix, change.channel()));
                call.add_argument(message);
            }
            calls.push(call);
        }
        Ok(calls)
    }

    /// Whether this event or a later one of the same stream was published.
    pub(super) async fn has_published(&self, change: &ChangeNotification) -> Result<bool, QueryError> {
        let (published,): (Option<u64>,) =
            self.client.run_pipeline(redis::pipe().get(self.sequence_key(change))).await?;
        Ok(published.unwrap_or_default() >= change.sequence)
    }

    /// Deletes the last published sequences of all streams.
    pub(super) async fn delete_sequence_keys(&self) -> Result<(), QueryError> {
        self.client.unlink_keys(&format!("{}{{", self.prefix)).await?;
        // The keys of earlier releases.
        self.client.unlink_keys(&format!("{}told:", self.prefix)).await
    }

    pub(super) fn client(&self) -> &RedisClient {
        &self.client
    }

    /// The prefix of all channel names; the tenant and the context follow.
    pub fn channel_prefix(&self) -> &str {
        &self.prefix
    }

    fn sequence_key(&self, change: &ChangeNotification) -> String {
        format!("{}{{{}}}:last:{}:{}", self.prefix, change.tenant_id, change.aggregate_type, change.aggregate_id)
    }
}

/// Classifies an error: a key of another type affects one stream, any other error the whole server.
fn classify_error(error: RedisError) -> ProjectionError {
    match error.code() {
        Some("WRONGTYPE") => ProjectionError::rejected(error),
        _ => ProjectionError::unavailable(unavailable_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use redis_connections::key_slot;

    use super::*;
    use crate::fixture::{discovered, recorded_event};

    #[tokio::test]
    async fn each_call_has_changes_of_one_tenant_in_one_slot() {
        let feed = ChangeFeed::new(&RedisConfig::default()).unwrap();
        let event = ChangeNotification::from_event(&recorded_event(1, &discovered("Lifts"))).unwrap();
        let tenants = ["public", "acme", "acme", "public", "other"];
        let mut changes: Vec<_> =
            tenants.map(|tenant| ChangeNotification { tenant_id: tenant.to_owned(), ..event.clone() }).into();
        changes.extend(std::iter::repeat_n(event, CHANGES_PER_CALL + 1));
        let calls = feed.publish_calls(LoadedScript::for_test(&PUBLISH_SCRIPT), &changes).unwrap();
        assert_eq!(calls.iter().map(|call| call.keys().len()).collect::<Vec<_>>(), [1, 2, 1, 1, CHANGES_PER_CALL, 1]);
        for call in &calls {
            assert!(call.keys().iter().all(|key| key_slot(key) == key_slot(&call.keys()[0])), "{call:?}");
        }
    }
}
