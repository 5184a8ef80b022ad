//! The connection to `Redis`, and reading views.

use std::{collections::HashMap, sync::Arc};

use domain::opportunity::OpportunityId;
use redis::{FromRedisValue, Pipeline, RedisError, RedisResult, aio::ConnectionManager};

use super::{
    Counters, OpportunityView, ViewsConfig,
    cache::Cache,
    connect::connect,
    delta::Target,
    failure::Foreign,
    lifetime::Lifetime,
    step::Versioned,
    stream::{State, Stream},
};
use crate::{QueryError, error::Source, question, runtime::Generation};

const STORE: &str = "Redis";

/// What is stored of a stream: version and state, as they came from the server.
pub(super) type StoredText = (Option<String>, Option<String>);

/// Detail views and figures, in one generation.
#[derive(Clone)]
pub struct Views {
    connection: ConnectionManager,
    /// What the keys of all generations begin with.
    name: Arc<str>,
    prefix: Arc<str>,
    pub(super) generation: Generation,
    pub(super) cache: Arc<Cache>,
    pub(super) lifetime: Lifetime,
    cache_mb: u32,
}

impl Views {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &ViewsConfig) -> Result<Self, QueryError> {
        let (_, connection) = connect(config)?;
        let name: Arc<str> = config.key_prefix.as_str().into();
        Ok(Self {
            connection,
            prefix: prefix(&name, Generation::FIRST),
            name,
            generation: Generation::FIRST,
            cache: Arc::new(Cache::new(config.cache_mb)),
            lifetime: Lifetime::of(config),
            cache_mb: config.cache_mb,
        })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn at(&self, generation: Generation) -> Self {
        let cache = Arc::new(Cache::new(self.cache_mb));
        Self { prefix: prefix(&self.name, generation), generation, cache, ..self.clone() }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.ask::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    /// One opportunity in detail.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or holds something else under its key.
    pub async fn get(&self, id: &OpportunityId) -> Result<Option<OpportunityView>, QueryError> {
        question::count("views");
        let stored = self.stored_one(Stream::Opportunity, id.as_str()).await?;
        Ok(match &stored.state {
            State::Opportunity(state) => OpportunityView::of(id.as_str(), stored.version, state),
            State::Visit(_) | State::Watchlist(_) => None,
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
        question::count("views");
        let mut pipeline = redis::pipe();
        let keys: Vec<_> = ids.iter().map(|id| self.stream_key(Stream::Opportunity, id.as_str())).collect();
        for key in &keys {
            pipeline.hmget(key, &["version", "state"]);
        }
        let stored: Vec<StoredText> = self.ask(&pipeline).await?;
        let mut found = vec![];
        for ((id, key), stored) in ids.iter().zip(keys).zip(stored) {
            let stored = versioned(Stream::Opportunity, &key, stored).map_err(unreadable)?;
            if let State::Opportunity(state) = &stored.state {
                found.extend(OpportunityView::of(id.as_str(), stored.version, state));
            }
        }
        Ok(found)
    }

    /// How many views there are.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn count_views(&self) -> Result<u64, QueryError> {
        let key = self.key(&Target::Counters.key());
        let (count,): (Option<u64>,) = self.ask(redis::pipe().hget(key, Counters::TOTAL)).await?;
        Ok(count.unwrap_or_default())
    }

    /// How many opportunities there are, by agency, type and status.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn counters(&self) -> Result<Counters, QueryError> {
        let key = self.key(&Target::Counters.key());
        let (fields,): (HashMap<String, i64>,) = self.ask(redis::pipe().hgetall(key)).await?;
        Ok(Counters::from_fields(fields))
    }

    /// What is stored of one stream; its beginning where nothing is.
    pub(super) async fn stored_one(&self, stream: Stream, id: &str) -> Result<Versioned, QueryError> {
        let key = self.stream_key(stream, id);
        let (stored,): (StoredText,) = self.ask(redis::pipe().hmget(&key, &["version", "state"])).await?;
        versioned(stream, &key, stored).map_err(unreadable)
    }

    /// Asks; any command that fails makes all of it fail.
    pub(super) async fn ask<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.send(pipeline).await.map_err(unavailable)
    }

    /// Asks, and once more where the connection turns out to be broken: the first use after a restart of the server
    /// only finds that out. Asking twice is safe, also for a write, because a step is written once at most.
    pub(super) async fn send<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
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

    pub(super) fn stream_key(&self, stream: Stream, id: &str) -> String {
        format!("{}{}:{id}", self.prefix, stream.name())
    }
}

fn prefix(name: &str, generation: Generation) -> Arc<str> {
    format!("{name}{generation}:").into()
}

/// Reads what is stored of a stream.
pub(super) fn versioned(stream: Stream, key: &str, (version, state): StoredText) -> Result<Versioned, Foreign> {
    let foreign = |reason: String| Foreign { key: key.to_owned(), reason };
    match (version, state) {
        (Some(version), Some(state)) => Ok(Versioned {
            version: version.parse().map_err(|_| foreign(format!("{version:?} is no version")))?,
            state: State::parse(stream, &state).map_err(|error| foreign(error.to_string()))?,
        }),
        (None, None) => Ok(Versioned::new(stream)),
        (Some(_), None) => Err(foreign("its state is missing".to_owned())),
        (None, Some(_)) => Err(foreign("its version is missing".to_owned())),
    }
}

pub(crate) fn unreadable(source: impl Into<Source>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(crate) fn unavailable(source: RedisError) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}
