//! The `Redis` client: a connection that is opened at its first use and again after it breaks, and the operations that
//! all read models share.

use redis::{
    Client, FromRedisValue, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tracing::Instrument;

use super::{
    RedisConfig,
    errors::unavailable_error,
    script_call::{RedisScript, ScriptCall},
};
use crate::QueryError;

/// Number of keys that one `SCAN` command asks for.
const KEYS_PER_SCAN: usize = 1_000;

/// A client of one server.
#[derive(Clone)]
pub struct RedisClient {
    client: Client,
    connection: ConnectionManager,
}

impl RedisClient {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let timeout = Some(config.timeout());
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(timeout)
            .set_response_timeout(timeout)
            // Workers retry by themselves without limit, and a query should fail soon.
            .set_number_of_retries(1);
        let client = config.open_client().map_err(unavailable_error)?;
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), manager).map_err(unavailable_error)?;
        Ok(Self { client, connection })
    }

    /// The underlying client, for pub/sub connections.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a pipeline, and sends it once more if the connection is broken: after a restart of the server, the first
    /// command only detects the broken connection. The pipeline must be safe to repeat.
    pub(crate) async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        let sending = async {
            match pipeline.query_async(&mut connection).await {
                Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
                outcome => outcome,
            }
        };
        sending.instrument(telemetry::store_span("redis", "run pipeline")).await
    }

    /// Runs a pipeline; fails if any of its commands fails. The pipeline must be safe to repeat.
    pub(crate) async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.send_with_retry(pipeline).await.map_err(unavailable_error)
    }

    /// Runs the commands of a pipeline; a command on a key of the wrong type fails without failing the others.
    pub(crate) async fn run_commands<T: FromRedisValue>(
        &self,
        mut pipeline: Pipeline,
    ) -> Result<Vec<RedisResult<T>>, QueryError> {
        if pipeline.is_empty() {
            return Ok(vec![]);
        }
        let answers: Vec<RedisResult<T>> = self.run_pipeline(pipeline.ignore_errors()).await?;
        let is_failure = |error: &&RedisError| error.code() != Some("WRONGTYPE");
        match answers.iter().filter_map(|answer| answer.as_ref().err()).find(is_failure) {
            Some(error) => Err(unavailable_error(error.clone())),
            None => Ok(answers),
        }
    }

    /// Runs calls of a script in one round trip; a call that fails does not prevent the others. The script must be safe
    /// to repeat.
    pub(crate) async fn call_script(
        &self,
        script: &RedisScript,
        calls: &[ScriptCall],
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        if calls.is_empty() {
            return Ok(vec![]);
        }
        calls.iter().try_for_each(ScriptCall::check_slot)?;
        let digest = match script.digest() {
            Some(digest) => digest,
            None => self.load_script(script).await?,
        };
        let mut pipeline = redis::pipe();
        for call in calls {
            pipeline.add_command(call.to_command(digest));
        }
        pipeline.ignore_errors();
        let answers: Vec<RedisResult<Value>> = self.send_with_retry(&pipeline).await?;
        let is_unknown_script =
            |answer: &RedisResult<Value>| answer.as_ref().err().is_some_and(|error| error.code() == Some("NOSCRIPT"));
        if !answers.iter().any(is_unknown_script) {
            return Ok(answers);
        }
        // The server was restarted since the script was loaded, and has no scripts.
        self.load_script(script).await?;
        self.send_with_retry(&pipeline).await
    }

    async fn load_script<'a>(&self, script: &'a RedisScript) -> RedisResult<&'a str> {
        let (digest,): (String,) =
            self.send_with_retry(redis::pipe().cmd("SCRIPT").arg("LOAD").arg(script.text())).await?;
        Ok(script.set_digest(digest))
    }

    /// Checks that the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.run_pipeline::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    /// Scans a part of the keyspace for keys that begin with `prefix`. Returns the cursor of the next part, `None` at
    /// the end, and the keys; a key may be returned twice.
    pub(crate) async fn scan_keys(&self, prefix: &str, cursor: u64) -> Result<(Option<u64>, Vec<Vec<u8>>), QueryError> {
        let mut pipeline = redis::pipe();
        let scan = pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(format!("{}*", escape_glob(prefix)));
        scan.arg("COUNT").arg(KEYS_PER_SCAN);
        let ((next, keys),): ((u64, Vec<Vec<u8>>),) = self.run_pipeline(&pipeline).await?;
        Ok(((next != 0).then_some(next), keys))
    }

    /// Removes all keys that begin with `prefix`.
    pub(crate) async fn unlink_keys(&self, prefix: &str) -> Result<(), QueryError> {
        let mut cursor = Some(0);
        while let Some(position) = cursor {
            let (next, keys) = self.scan_keys(prefix, position).await?;
            if !keys.is_empty() {
                let mut pipeline = redis::pipe();
                // One command for each key, because the keys are in different slots.
                for key in keys {
                    pipeline.unlink(key).ignore();
                }
                self.run_pipeline::<()>(&pipeline).await?;
            }
            cursor = next;
        }
        Ok(())
    }
}

/// A pattern that matches this text and nothing else.
pub(crate) fn escape_glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_text_matches_only_itself() {
        assert_eq!(escape_glob("med*hub[1]?\\:"), "med\\*hub\\[1\\]\\?\\\\:");
    }
}
