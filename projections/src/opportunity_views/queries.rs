//! The `Redis` client and the queries of detail views and counters.

use std::{collections::HashMap, sync::Arc};

use domain::opportunity::OpportunityId;
use redis::{FromRedisValue, Pipeline, RedisError, RedisResult, aio::ConnectionManager};

use super::{
    OpportunityCounters, OpportunityView, RedisConfig,
    errors::InvalidStoredState,
    figure_deltas::FigureKey,
    redis_client::connect,
    retention_policy::RetentionPolicy,
    state_cache::StateCache,
    state_transition::VersionedState,
    view_state::{StreamKind, ViewState},
};
use crate::{QueryError, error::BoxedError, query_metrics, runtime::Generation};

const STORE: &str = "Redis";

/// The stored version and state of a stream, as the server returns them.
pub(super) type RawViewState = (Option<String>, Option<String>);

/// Detail views and figures in one generation.
#[derive(Clone)]
pub struct OpportunityViews {
    connection: ConnectionManager,
    /// Key prefix of all generations.
    name: Arc<str>,
    prefix: Arc<str>,
    pub(super) generation: Generation,
    pub(super) cache: Arc<StateCache>,
    pub(super) lifetime: RetentionPolicy,
    cache_mb: u32,
}

impl OpportunityViews {
    /// Creates a client of the first generation; it connects at the first command and reconnects when the connection
    /// breaks. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        let name: Arc<str> = config.key_prefix.as_str().into();
        Ok(Self {
            connection,
            prefix: generation_prefix(&name, Generation::FIRST),
            name,
            generation: Generation::FIRST,
            cache: Arc::new(StateCache::new(config.cache_mb)),
            lifetime: RetentionPolicy::from_config(config),
            cache_mb: config.cache_mb,
        })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: Generation) -> Self {
        let cache = Arc::new(StateCache::new(self.cache_mb));
        Self { prefix: generation_prefix(&self.name, generation), generation, cache, ..self.clone() }
    }

    /// Checks that the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.run_pipeline::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    /// Returns the detail view of an opportunity; `None` when it is not on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored state is unreadable.
    pub async fn get(&self, id: &OpportunityId) -> Result<Option<OpportunityView>, QueryError> {
        query_metrics::count_query("views");
        let stored = self.load_stream(StreamKind::Opportunity, id.as_str()).await?;
        Ok(match &stored.state {
            ViewState::Opportunity(state) => OpportunityView::from_state(id.as_str(), stored.version, state),
            ViewState::Visit(_) | ViewState::Watchlist(_) => None,
        })
    }

    /// Returns the detail views of several opportunities in one round trip; leaves out those that are not on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored state is unreadable.
    pub async fn get_many(&self, ids: &[OpportunityId]) -> Result<Vec<OpportunityView>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        query_metrics::count_query("views");
        let mut pipeline = redis::pipe();
        let keys: Vec<_> = ids.iter().map(|id| self.stream_key(StreamKind::Opportunity, id.as_str())).collect();
        for key in &keys {
            pipeline.hmget(key, &["version", "state"]);
        }
        let stored: Vec<RawViewState> = self.run_pipeline(&pipeline).await?;
        let mut found = vec![];
        for ((id, key), stored) in ids.iter().zip(keys).zip(stored) {
            let stored = parse_state(StreamKind::Opportunity, &key, stored).map_err(unreadable_error)?;
            if let ViewState::Opportunity(state) = &stored.state {
                found.extend(OpportunityView::from_state(id.as_str(), stored.version, state));
            }
        }
        Ok(found)
    }

    /// Returns the number of detail views.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn count_views(&self) -> Result<u64, QueryError> {
        let key = self.key(&FigureKey::Counters.redis_key());
        let (count,): (Option<u64>,) = self.run_pipeline(redis::pipe().hget(key, OpportunityCounters::TOTAL)).await?;
        Ok(count.unwrap_or_default())
    }

    /// Returns the number of opportunities by agency, type and status.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn counters(&self) -> Result<OpportunityCounters, QueryError> {
        let key = self.key(&FigureKey::Counters.redis_key());
        let (fields,): (HashMap<String, i64>,) = self.run_pipeline(redis::pipe().hgetall(key)).await?;
        Ok(OpportunityCounters::from_fields(fields))
    }

    /// Loads the stored state of a stream; the initial state when nothing is stored.
    pub(super) async fn load_stream(&self, stream: StreamKind, id: &str) -> Result<VersionedState, QueryError> {
        let key = self.stream_key(stream, id);
        let (stored,): (RawViewState,) = self.run_pipeline(redis::pipe().hmget(&key, &["version", "state"])).await?;
        parse_state(stream, &key, stored).map_err(unreadable_error)
    }

    /// Runs a pipeline; it fails when any of its commands fails.
    pub(super) async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.send_with_retry(pipeline).await.map_err(unavailable_error)
    }

    /// Sends a pipeline, and sends it once more when the connection is broken: after a restart of the server the first
    /// use only detects that. Repeating is safe for writes too, because the script writes a transition at most once.
    pub(super) async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }

    /// The key prefix of this generation.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn stream_key(&self, stream: StreamKind, id: &str) -> String {
        format!("{}{}:{id}", self.prefix, stream.name())
    }
}

fn generation_prefix(name: &str, generation: Generation) -> Arc<str> {
    format!("{name}{generation}:").into()
}

/// Decodes the stored version and state of a stream; absent ones are the initial state.
pub(super) fn parse_state(
    stream: StreamKind,
    key: &str,
    (version, state): RawViewState,
) -> Result<VersionedState, InvalidStoredState> {
    let foreign = |reason: String| InvalidStoredState { key: key.to_owned(), reason };
    match (version, state) {
        (Some(version), Some(state)) => Ok(VersionedState {
            version: version.parse().map_err(|_| foreign(format!("{version:?} is no version")))?,
            state: ViewState::from_json(stream, &state).map_err(|error| foreign(error.to_string()))?,
        }),
        (None, None) => Ok(VersionedState::new(stream)),
        (Some(_), None) => Err(foreign("its state is missing".to_owned())),
        (None, Some(_)) => Err(foreign("its version is missing".to_owned())),
    }
}

pub(crate) fn unreadable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(crate) fn unavailable_error(source: RedisError) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}
