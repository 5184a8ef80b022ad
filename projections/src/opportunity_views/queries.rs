//! The connection to `Redis`, and reading views.

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

/// What is stored of a stream: version and state, as they came from the server.
pub(super) type RawViewState = (Option<String>, Option<String>);

/// Detail views and figures, in one generation.
#[derive(Clone)]
pub struct OpportunityViews {
    connection: ConnectionManager,
    /// What the keys of all generations begin with.
    name: Arc<str>,
    prefix: Arc<str>,
    pub(super) generation: Generation,
    pub(super) cache: Arc<StateCache>,
    pub(super) lifetime: RetentionPolicy,
    cache_mb: u32,
}

impl OpportunityViews {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
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

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.run_pipeline::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    /// One opportunity in detail.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or holds something else under its key.
    pub async fn get(&self, id: &OpportunityId) -> Result<Option<OpportunityView>, QueryError> {
        query_metrics::count_query("views");
        let stored = self.load_stream(StreamKind::Opportunity, id.as_str()).await?;
        Ok(match &stored.state {
            ViewState::Opportunity(state) => OpportunityView::from_state(id.as_str(), stored.version, state),
            ViewState::Visit(_) | ViewState::Watchlist(_) => None,
        })
    }

    /// Several opportunities in detail, in one round trip; those that are on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or holds something else under a key.
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

    /// How many views there are.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn count_views(&self) -> Result<u64, QueryError> {
        let key = self.key(&FigureKey::Counters.redis_key());
        let (count,): (Option<u64>,) = self.run_pipeline(redis::pipe().hget(key, OpportunityCounters::TOTAL)).await?;
        Ok(count.unwrap_or_default())
    }

    /// How many opportunities there are, by agency, type and status.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn counters(&self) -> Result<OpportunityCounters, QueryError> {
        let key = self.key(&FigureKey::Counters.redis_key());
        let (fields,): (HashMap<String, i64>,) = self.run_pipeline(redis::pipe().hgetall(key)).await?;
        Ok(OpportunityCounters::from_fields(fields))
    }

    /// What is stored of one stream; its beginning where nothing is.
    pub(super) async fn load_stream(&self, stream: StreamKind, id: &str) -> Result<VersionedState, QueryError> {
        let key = self.stream_key(stream, id);
        let (stored,): (RawViewState,) = self.run_pipeline(redis::pipe().hmget(&key, &["version", "state"])).await?;
        parse_state(stream, &key, stored).map_err(unreadable_error)
    }

    /// Asks; any command that fails makes all of it fail.
    pub(super) async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.send_with_retry(pipeline).await.map_err(unavailable_error)
    }

    /// Asks, and once more where the connection turns out to be broken: the first use after a restart of the server
    /// only finds that out. Asking twice is safe, also for a write, because a step is written once at most.
    pub(super) async fn send_with_retry<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection.clone();
        match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        }
    }

    /// What every key of this generation begins with.
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

/// Reads what is stored of a stream.
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
