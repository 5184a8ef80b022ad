//! The handle to the read model, and the queries of detail views and counters.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    clock::{Clock, SystemClock},
    opportunity::OpportunityId,
};
use redis::{FromRedisValue, Pipeline};

use super::{
    OpportunityCounters, OpportunityView,
    figure_deltas::FigureKey,
    key_shard::KeyShard,
    retention_policy::RetentionPolicy,
    view_state::{StateKind, ViewState},
    view_transition::empty_state,
};
use crate::{
    QueryError,
    runtime::ReadModelGeneration,
    storage::{
        count_query,
        redis::{
            FigureTarget, RedisClient, RedisConfig, StateKey, StateStoreOptions, VersionedState, VersionedStateStore,
            unreadable_error,
        },
    },
};

/// Detail views and figures in one generation.
#[derive(Clone)]
pub struct OpportunityViews {
    pub(super) store: VersionedStateStore<ViewState>,
    pub(super) retention: RetentionPolicy,
    /// The counters of each shard, which nearly every batch changes.
    counter_targets: Arc<[Arc<FigureTarget>]>,
    /// When the comparison began that this handle is for.
    comparison_begin: Arc<OnceLock<DateTime<Utc>>>,
}

impl OpportunityViews {
    /// Creates a client of the first generation; it connects at the first command and reconnects when the connection
    /// breaks. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let options = StateStoreOptions {
            read_model: "views",
            prefix: config.key_prefix.clone(),
            fixed_tags: KeyShard::all().map(|shard| shard.to_string()).collect(),
            cache_mb: config.cache_mb,
        };
        let store = VersionedStateStore::new(RedisClient::new(config)?, options);
        Ok(Self::from_store(store, RetentionPolicy::from_config(config)))
    }

    fn from_store(store: VersionedStateStore<ViewState>, retention: RetentionPolicy) -> Self {
        let to_target = |shard| {
            let counters = FigureKey::Counters(shard);
            Arc::new(counters.to_target(figure_key(&store, &counters), retention))
        };
        let counter_targets = KeyShard::all().map(to_target).collect();
        Self { store, retention, counter_targets, comparison_begin: Arc::default() }
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self::from_store(self.store.with_generation(generation), self.retention)
    }

    /// The time at which a comparison leaves out what has expired: a day after its begin, so that nothing that it compares
    /// expires meanwhile, and the same for all its reads and folds.
    pub(super) fn comparison_time(&self) -> DateTime<Utc> {
        *self.comparison_begin.get_or_init(|| SystemClock.now()) + TimeDelta::days(1)
    }

    /// Checks that the server responds.
    ///
    /// # Errors
    /// [`QueryError`] when it does not respond.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.store.client().ping().await
    }

    /// Returns warnings about servers that would lose or refuse what is written to them.
    ///
    /// # Errors
    /// [`QueryError`] when a server does not respond.
    pub async fn server_warnings(&self) -> Result<Vec<String>, QueryError> {
        self.store.client().server_warnings().await
    }

    /// Returns the detail view of an opportunity; `None` when it is not on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored state is unreadable.
    pub async fn get(&self, id: &OpportunityId) -> Result<Option<OpportunityView>, QueryError> {
        Ok(self.get_many(std::slice::from_ref(id)).await?.pop())
    }

    /// Returns the detail views of several opportunities in one round trip; leaves out those that are not on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored state is unreadable.
    pub async fn get_many(&self, ids: &[OpportunityId]) -> Result<Vec<OpportunityView>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        count_query("views");
        let keys: Vec<_> = ids.iter().map(|id| self.stream_key(StateKind::Opportunity, id.as_str())).collect();
        let mut views = vec![];
        for (id, stored) in ids.iter().zip(self.store.load_many(&keys).await?) {
            let Some((version, text)) = stored else { continue };
            let state = serde_json::from_str(&text).map_err(unreadable_error)?;
            views.extend(OpportunityView::from_state(id.as_str(), version, &state));
        }
        Ok(views)
    }

    /// Returns the number of detail views.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn count_views(&self) -> Result<u64, QueryError> {
        let mut pipeline = redis::pipe();
        for shard in KeyShard::all() {
            pipeline.hget(self.figure_key(&FigureKey::Counters(shard)), OpportunityCounters::TOTAL);
        }
        let counts: Vec<Option<u64>> = self.run_pipeline(&pipeline).await?;
        Ok(counts.into_iter().flatten().sum())
    }

    /// Returns the number of opportunities by agency, type and status.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn counters(&self) -> Result<OpportunityCounters, QueryError> {
        let mut pipeline = redis::pipe();
        for shard in KeyShard::all() {
            pipeline.hgetall(self.figure_key(&FigureKey::Counters(shard)));
        }
        let shards: Vec<Vec<(String, i64)>> = self.run_pipeline(&pipeline).await?;
        Ok(OpportunityCounters::from_fields(shards.into_iter().flatten()))
    }

    /// Loads the stored state of a stream; its initial state if nothing is stored.
    pub(super) async fn load_stream(&self, kind: StateKind, id: &str) -> Result<VersionedState<ViewState>, QueryError> {
        match self.store.load_many(&[self.stream_key(kind, id)]).await?.pop().flatten() {
            None => Ok(empty_state(kind)),
            Some((version, text)) => {
                Ok(VersionedState { version, state: ViewState::from_json(kind, &text).map_err(unreadable_error)? })
            }
        }
    }

    pub(super) async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.store.run_pipeline(pipeline).await
    }

    /// The key of a stream's state, in the shard of its id.
    pub(super) fn stream_key(&self, kind: StateKind, id: &str) -> StateKey {
        self.state_key(kind, KeyShard::for_id(id), id)
    }

    pub(super) fn state_key(&self, kind: StateKind, shard: KeyShard, id: &str) -> StateKey {
        self.store.state_key(shard.tag(), &[kind.name(), ":", id].concat())
    }

    pub(super) fn figure_key(&self, key: &FigureKey) -> String {
        figure_key(&self.store, key)
    }

    pub(super) fn figure_target(&self, key: &FigureKey) -> Arc<FigureTarget> {
        let known = if let FigureKey::Counters(shard) = key { self.counter_targets.get(shard.index()) } else { None };
        match known {
            Some(target) => Arc::clone(target),
            None => Arc::new(key.to_target(self.figure_key(key), self.retention)),
        }
    }
}

fn figure_key(store: &VersionedStateStore<ViewState>, key: &FigureKey) -> String {
    store.key(key.shard().tag(), &key.name())
}
