//! The `Redis` client and the queries of a tenant's aggregates.

use std::sync::Arc;

use domain::value::TenantId;
use redis::{FromRedisValue, Pipeline, RedisResult, aio::ConnectionManager};

use super::{
    stored_aggregate::{StoredAggregate, parse_stored},
    tenant_aggregate::TenantAggregate,
};
use crate::{
    QueryError,
    opportunity_views::{RedisConfig, connect, scan_command, unavailable_error, unreadable_error},
    query_metrics,
    runtime::Generation,
};

/// The key of the marker of a prepared generation, without the prefix.
pub(super) const MARKER: &str = "generation";

/// The stored version and state of a stream, as the server returns them.
pub(super) type RawAggregateState = (Option<u64>, Option<String>);

/// The aggregates of tenants in one generation.
#[derive(Clone)]
pub struct TenantViews {
    connection: ConnectionManager,
    name: Arc<str>,
    prefix: Arc<str>,
    pub(super) generation: Generation,
}

impl TenantViews {
    /// Creates a client of the first generation; it connects at the first command and reconnects when the connection
    /// breaks. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        let name: Arc<str> = format!("{}workspace:", config.key_prefix).into();
        Ok(Self {
            connection,
            prefix: generation_prefix(&name, Generation::FIRST),
            name,
            generation: Generation::FIRST,
        })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: Generation) -> Self {
        Self { prefix: generation_prefix(&self.name, generation), generation, ..self.clone() }
    }

    /// Returns an aggregate of a tenant; `None` when the tenant does not own it, whether another tenant does or it does
    /// not exist. A deleted aggregate is returned in its deleted state.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored state is unreadable.
    pub async fn get<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<StoredAggregate<A>>, QueryError> {
        let mut found = self.get_many(tenant, &[id]).await?;
        Ok(found.pop().flatten())
    }

    /// Returns several aggregates of a tenant in one round trip, in the order of the ids; see [`Self::get`].
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored state is unreadable.
    pub async fn get_many<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        ids: &[impl AsRef<str>],
    ) -> Result<Vec<Option<StoredAggregate<A>>>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        query_metrics::count_query("workspace");
        let mut pipeline = redis::pipe();
        for id in ids {
            let key = self.stream_key(A::TYPE, &A::stream_name(tenant, id.as_ref()));
            pipeline.hmget(key, &["version", "state"]);
        }
        let stored: Vec<RawAggregateState> = self.run_pipeline(&pipeline).await?;
        stored.into_iter().map(decode_stored).collect()
    }

    /// Runs a pipeline; it fails when any of its commands fails.
    pub(super) async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.send_with_retry(pipeline).await.map_err(unavailable_error)
    }

    /// Sends a pipeline, and sends it once more when the connection is broken: after a restart of the server the first
    /// use only detects that. Repeating is safe for writes too, because the script writes a change at most once.
    pub(super) async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }

    pub(super) async fn set_marker(&self) -> Result<(), QueryError> {
        self.run_pipeline::<()>(redis::pipe().set(self.key(MARKER), self.generation.to_string()).ignore()).await
    }

    /// Removes all keys of this generation; the marker first, so that no late writer adds keys during the removal.
    pub(super) async fn remove_keys(&self) -> Result<(), QueryError> {
        self.run_pipeline::<()>(redis::pipe().del(self.key(MARKER)).ignore()).await?;
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (next, keys) = self.scan_keys(at).await?;
            if !keys.is_empty() {
                self.run_pipeline::<()>(redis::pipe().unlink(keys).ignore()).await?;
            }
            cursor = next;
        }
        Ok(())
    }

    /// Scans some keys of this generation; returns the next cursor, `None` at the end. A key may occur twice.
    pub(super) async fn scan_keys(&self, cursor: u64) -> Result<(Option<u64>, Vec<Vec<u8>>), QueryError> {
        let ((next, keys),): ((u64, Vec<Vec<u8>>),) = self.run_pipeline(&scan_command(&self.prefix, cursor)).await?;
        Ok(((next != 0).then_some(next), keys))
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn stream_key(&self, kind: &str, stream: &str) -> String {
        format!("{}{kind}:{stream}", self.prefix)
    }
}

fn generation_prefix(name: &str, generation: Generation) -> Arc<str> {
    format!("{name}{generation}:").into()
}

fn decode_stored<A: TenantAggregate>(
    (version, text): RawAggregateState,
) -> Result<Option<StoredAggregate<A>>, QueryError> {
    match (version, text) {
        (Some(version), Some(text)) => parse_stored(version, &text).map(Some).map_err(unreadable_error),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(unreadable_error("a stream of which a half is missing")),
    }
}
