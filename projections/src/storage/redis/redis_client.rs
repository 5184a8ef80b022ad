//! The `Redis` client: a connection to one server or a cluster that is opened at its first use and again after it breaks,
//! and the operations that all read models share.

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value, aio::PubSub};
use redis_connections::{PrimaryNode, RedisConnection, RedisEndpoint};
use tracing::Instrument;

use super::{
    RedisConfig,
    errors::unavailable_error,
    script_call::{LoadedScript, RedisScript, ScriptCall},
};
use crate::QueryError;

/// A client of one server, or of a cluster.
#[derive(Clone)]
pub struct RedisClient {
    endpoint: RedisEndpoint,
    connection: RedisConnection,
    /// For writes that replicas have to acknowledge: another connection if there are such, because a server executes
    /// nothing else of a connection while it waits for them.
    acknowledged: RedisConnection,
    is_cluster: bool,
    acknowledging_replicas: u32,
}

impl RedisClient {
    /// Creates a client; it connects at the first command and reconnects when the connection breaks. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let endpoint = config.endpoint().map_err(unavailable_error)?;
        let connection = endpoint.open_connection(config.timeout()).map_err(unavailable_error)?;
        let acknowledged = match config.acknowledgement() {
            Some(acknowledgement) => {
                let other = endpoint.open_connection(config.timeout()).map_err(unavailable_error)?;
                other.with_acknowledgement(acknowledgement)
            }
            None => connection.clone(),
        };
        let (is_cluster, acknowledging_replicas) = (config.cluster, config.acknowledging_replicas);
        Ok(Self { endpoint, connection, acknowledged, is_cluster, acknowledging_replicas })
    }

    /// Opens a connection that receives the messages of the channels which a pattern matches.
    pub(crate) async fn subscribe_to_pattern(&self, pattern: &str) -> Result<PubSub, QueryError> {
        self.endpoint.subscribe_to_pattern(pattern).await.map_err(unavailable_error)
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(super) fn acknowledging_replicas(&self) -> u32 {
        self.acknowledging_replicas
    }

    pub(super) fn connection(&self) -> &RedisConnection {
        &self.connection
    }

    /// Sends a pipeline, and sends it once more if the connection is broken: after a restart of the server, the first
    /// command only detects the broken connection. The pipeline must be safe to repeat.
    pub(crate) async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        send_pipeline(self.connection.clone(), pipeline).await
    }

    /// As [`Self::send_with_retry`]; fails if fewer replicas have acknowledged the writes than the settings ask for.
    pub(crate) async fn send_acknowledged<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        send_pipeline(self.acknowledged.clone(), pipeline).await
    }

    /// Sends a command about no key to one server, and once more if the connection is broken.
    pub(super) async fn query_primary_with_retry(&self, primary: &PrimaryNode, command: &Cmd) -> RedisResult<Value> {
        match self.connection.query_primary(primary, command).await {
            Err(error) if error.is_unrecoverable_error() => self.connection.query_primary(primary, command).await,
            outcome => outcome,
        }
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

    /// A script that can be called; it is loaded by the first caller of the process.
    pub(crate) async fn load_script(&self, script: &'static RedisScript) -> RedisResult<LoadedScript> {
        let digest = match script.digest() {
            Some(digest) => digest,
            None => self.send_script(script).await?,
        };
        Ok(LoadedScript::new(script, digest))
    }

    /// Runs calls of a script in one round trip; a call that fails does not prevent the others. The script must be safe
    /// to repeat.
    pub(crate) async fn call_script(
        &self,
        script: LoadedScript,
        calls: Vec<ScriptCall>,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        if calls.is_empty() {
            return Ok(vec![]);
        }
        calls.iter().try_for_each(ScriptCall::check_slot)?;
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(call.into_command());
        }
        pipeline.ignore_errors();
        let script = script.script();
        let answers: Vec<RedisResult<Value>> = self.send_calls(script, &pipeline).await?;
        let is_unknown_script =
            |answer: &RedisResult<Value>| answer.as_ref().err().is_some_and(|error| error.code() == Some("NOSCRIPT"));
        if !answers.iter().any(is_unknown_script) {
            return Ok(answers);
        }
        // The server was restarted since the script was loaded, and has no scripts.
        self.send_script(script).await?;
        self.send_calls(script, &pipeline).await
    }

    async fn send_calls(&self, script: &RedisScript, calls: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        if script.is_acknowledged() { self.send_acknowledged(calls).await } else { self.send_with_retry(calls).await }
    }

    async fn send_script(&self, script: &'static RedisScript) -> RedisResult<&'static str> {
        let (digest,): (String,) =
            self.send_with_retry(redis::pipe().cmd("SCRIPT").arg("LOAD").arg(script.text())).await?;
        Ok(script.set_digest(digest))
    }

    /// Checks that the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        match self.run_pipeline::<(String,)>(redis::pipe().ping()).await {
            Ok(_answer) => Ok(()),
            Err(error) if self.is_cluster => {
                Err(self.endpoint.find_connection_error().await.map_or(error, unavailable_error))
            }
            Err(error) => Err(error),
        }
    }
}

async fn send_pipeline<T: FromRedisValue>(mut connection: RedisConnection, pipeline: &Pipeline) -> RedisResult<T> {
    let sending = async {
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    };
    sending.instrument(telemetry::store_span("redis", "run pipeline")).await
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
