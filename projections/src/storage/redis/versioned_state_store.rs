//! Folded streams in `Redis`: each state is a hash of its text and its version (the sequence of the last event in it).
//!
//! One script compares versions and writes states together with the figures and lists that their events change,
//! atomically within one hash tag; so a repeated event changes nothing. A batch is written by one call for each tag,
//! all of them in one round trip. A stream may have states in several tags, each with a version of its own: if a
//! failure left one of them unwritten, repeating the batch writes that one only.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream};
use redis::{FromRedisValue, Pipeline, RedisResult, Value};

use super::{
    RedisClient,
    errors::{ErrorClassifier, InvalidStoredState, unreadable_error},
    state_batch::{StateBatch, StateTransition, VersionedState},
    state_cache::StateCache,
    state_key::{GENERATION_ROW, RawState, StateKey, format_key, parse_raw_state},
};
use crate::{
    QueryError,
    runtime::{ProjectionError, ReadModelGeneration},
};

/// Attempts to write a batch while other workers change the same streams.
const ATTEMPTS: usize = 10;

/// Streams that are read or written in one round trip. Each tag costs a call of the script, and the parts of a visit have
/// other tags than the visit: with few streams in a round trip, nearly each of them would be a call of its own.
const PER_ROUND_TRIP: usize = 1_000;

/// Round trips that run at the same time, so that the server is busy while the next one is folded.
const IN_FLIGHT: usize = 3;

/// What distinguishes the store of one read model from that of another.
pub struct StateStoreOptions {
    /// Name of the read model in errors, as `medhub rebuild` takes it.
    pub read_model: &'static str,
    /// Key prefix of all generations.
    pub prefix: String,
    /// The tags of all keys, if they are known beforehand; empty when tags are added with the first write.
    pub fixed_tags: Vec<String>,
    /// Memory for the states that were written last, in mebibytes.
    pub cache_mb: u32,
}

/// The states of a read model in one generation.
pub struct VersionedStateStore<S> {
    client: RedisClient,
    options: Arc<StateStoreOptions>,
    prefix: Arc<str>,
    generation: ReadModelGeneration,
    cache: Arc<StateCache<S>>,
    /// Tags of the generation that are known to have a marker.
    opened_tags: Arc<Mutex<HashSet<String>>>,
}

impl<S> Clone for VersionedStateStore<S> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            options: Arc::clone(&self.options),
            prefix: Arc::clone(&self.prefix),
            generation: self.generation,
            cache: Arc::clone(&self.cache),
            opened_tags: Arc::clone(&self.opened_tags),
        }
    }
}

/// The batch of a stream with its transitions, which are not yet written.
pub(super) type FoldedBatch<B> = (B, Vec<StateTransition<<B as StateBatch>::State>>);

impl<S: Send> VersionedStateStore<S> {
    /// A handle to the first generation.
    pub fn new(client: RedisClient, options: StateStoreOptions) -> Self {
        Self::open(client, Arc::new(options), ReadModelGeneration::FIRST)
    }

    /// A handle to another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self::open(self.client.clone(), Arc::clone(&self.options), generation)
    }

    fn open(client: RedisClient, options: Arc<StateStoreOptions>, generation: ReadModelGeneration) -> Self {
        Self {
            client,
            prefix: format!("{}{generation}:", options.prefix).into(),
            generation,
            cache: Arc::new(StateCache::new(options.cache_mb)),
            options,
            opened_tags: Arc::default(),
        }
    }

    /// The client.
    pub fn client(&self) -> &RedisClient {
        &self.client
    }

    /// The generation.
    pub fn generation(&self) -> ReadModelGeneration {
        self.generation
    }

    /// The key prefix of this generation.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of `name` in the slot of `tag`.
    pub fn key(&self, tag: &str, name: &str) -> String {
        format_key(&self.prefix, tag, name)
    }

    /// The key of a state.
    pub fn state_key(&self, tag: &str, name: &str) -> StateKey {
        StateKey::new(&self.prefix, tag, name)
    }

    pub(super) fn read_model(&self) -> &'static str {
        self.options.read_model
    }

    pub(super) fn fixed_tags(&self) -> &[String] {
        &self.options.fixed_tags
    }

    pub(super) fn opened_tags(&self) -> MutexGuard<'_, HashSet<String>> {
        self.opened_tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache(&self) -> &StateCache<S> {
        &self.cache
    }

    pub(super) fn marker_key(&self, tag: &str) -> String {
        self.key(tag, GENERATION_ROW)
    }

    pub(super) fn tags_key(&self) -> String {
        format!("{}tags", self.prefix)
    }

    pub(super) fn classifier(&self) -> ErrorClassifier {
        ErrorClassifier { read_model: self.options.read_model, generation: self.generation }
    }

    /// Loads versions and texts of states; `None` where nothing is stored.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a key holds no state.
    pub async fn load_many(&self, keys: &[StateKey]) -> Result<Vec<Option<(u64, String)>>, QueryError> {
        if keys.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.hmget(key.as_str(), &["version", "state"]);
        }
        let stored: Vec<RawState> = self.run_pipeline(&pipeline).await?;
        let parse =
            |(key, stored): (&StateKey, RawState)| parse_raw_state(key.as_str(), stored).map_err(unreadable_error);
        keys.iter().zip(stored).map(parse).collect()
    }

    /// The smallest of the stored versions; 0 where nothing is stored.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn load_lowest_version(&self, keys: &[StateKey]) -> Result<u64, QueryError> {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.hget(key.as_str(), "version");
        }
        let versions: Vec<Option<u64>> = self.run_pipeline(&pipeline).await?;
        Ok(versions.into_iter().map(Option::unwrap_or_default).min().unwrap_or_default())
    }

    /// Runs a pipeline; it fails when any of its commands fails.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or refuses a command.
    pub async fn run_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        self.client.run_pipeline(pipeline).await
    }

    /// Applies the events of several streams. A refused stream does not prevent the others from being written.
    ///
    /// # Errors
    /// [`ProjectionError`] of the first stream that was not written; [`ProjectionError::Unavailable`] comes first.
    pub async fn apply<B: StateBatch<State = S>>(&self, mut batches: Vec<B>) -> Result<(), ProjectionError> {
        let outcome = match self.open_tags(&batches).await {
            Ok(()) => {
                // Sorted by tag: the fewer tags a round trip has, the fewer script calls it needs.
                batches.sort_by(|one, other| first_tag(one).cmp(&first_tag(other)));
                let mut portions = vec![];
                while batches.len() > PER_ROUND_TRIP {
                    portions.push(batches.split_off(batches.len() - PER_ROUND_TRIP));
                }
                portions.push(batches);
                let round_trips: Vec<_> = portions.into_iter().map(|portion| self.apply_portion(portion)).collect();
                // All of them run, also after a failure: a refused stream must not prevent the writes of others.
                let outcomes: Vec<_> = stream::iter(round_trips).buffer_unordered(IN_FLIGHT).collect().await;
                most_severe(outcomes)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Err(error @ ProjectionError::Unavailable(_)) => {
                // Markers may be missing: the next attempt checks them again.
                self.opened_tags().clear();
                let is_outdated = self.has_outdated_layout().await.unwrap_or(false);
                Err(if is_outdated { self.classifier().outdated_layout() } else { error })
            }
            outcome => outcome,
        }
    }

    async fn apply_portion<B: StateBatch<State = S>>(&self, mut pending: Vec<B>) -> Result<(), ProjectionError> {
        let mut refusal = None;
        for attempt in 0..ATTEMPTS {
            let (mut folded, unread) = if attempt == 0 { self.fold_cached(pending) } else { (vec![], pending) };
            folded.extend(self.fold_stored(unread, &mut refusal).await?);
            // Those remain whose version another writer has changed meanwhile.
            pending = self.write(folded, &mut refusal).await?;
            if pending.is_empty() {
                return refusal.map_or(Ok(()), Err);
            }
        }
        Err(ProjectionError::unavailable("other writers keep changing the same streams"))
    }

    /// Folds into the cached states, or into the initial state of a new stream. This is optimistic: the script compares
    /// versions. The second list has the streams to load: those that are not cached, and those that seem to have
    /// nothing to write or a gap, because only the stored state can confirm that.
    fn fold_cached<B: StateBatch<State = S>>(&self, pending: Vec<B>) -> (Vec<FoldedBatch<B>>, Vec<B>) {
        let (mut folded, mut unread) = (Vec::with_capacity(pending.len()), vec![]);
        for batch in pending {
            let is_new = batch.is_new_stream();
            let mut is_known = is_new;
            let mut states = Vec::with_capacity(batch.keys().len());
            for (index, key) in batch.keys().iter().enumerate() {
                // Something of a new stream is cached only if its first event is repeated.
                let cached = if is_new { None } else { self.cache.take(key.as_str()) };
                // If the stream's own state is cached, its parts are cached too, or do not exist yet.
                is_known |= index == 0 && cached.is_some();
                if is_known {
                    states.push(
                        cached.unwrap_or_else(|| VersionedState { version: 0, state: batch.initial_state(index) }),
                    );
                }
            }
            match if is_known { batch.fold(states) } else { Ok(vec![]) } {
                Ok(transitions) if !transitions.is_empty() => folded.push((batch, transitions)),
                Ok(_) | Err(_) => unread.push(batch),
            }
        }
        (folded, unread)
    }

    /// Loads the states of these streams and folds into them.
    async fn fold_stored<B: StateBatch<State = S>>(
        &self,
        pending: Vec<B>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<FoldedBatch<B>>, ProjectionError> {
        if pending.is_empty() {
            return Ok(vec![]);
        }
        let mut answers = self.load_states(&pending).await?.into_iter();
        let (mut folded, mut stored_tags) = (vec![], BTreeSet::new());
        for batch in pending {
            let batch_answers: Vec<_> = answers.by_ref().take(batch.keys().len()).collect();
            match self.parse_states(&batch, batch_answers).and_then(|states| batch.fold(states)) {
                Ok(transitions) => {
                    let is_stored = |index: &usize| !transitions.iter().any(|transition| transition.index == *index);
                    let stored_keys = batch.keys().iter().enumerate().filter(|(index, _)| is_stored(index));
                    stored_tags.extend(stored_keys.map(|(_, key)| key.tag().to_owned()));
                    if !transitions.is_empty() {
                        folded.push((batch, transitions));
                    }
                }
                Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                Err(error @ (ProjectionError::Rejected(_) | ProjectionError::Poison(_))) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        self.confirm_stored(&stored_tags).await?;
        Ok(folded)
    }

    /// The stored states of all keys of these streams. The markers are checked after the states are read: otherwise a
    /// server that lost its data in between would look like one with missing events.
    async fn load_states<B: StateBatch>(&self, pending: &[B]) -> Result<Vec<RedisResult<Value>>, ProjectionError> {
        let classify = |error| self.classifier().classify_error(error);
        let keys = || pending.iter().flat_map(StateBatch::keys);
        let mut pipeline = redis::pipe();
        for key in keys() {
            pipeline.hmget(key.as_str(), &["version", "state"]);
        }
        let tags: BTreeSet<&str> = keys().map(StateKey::tag).collect();
        for tag in &tags {
            pipeline.exists(self.marker_key(tag));
        }
        let mut answers: Vec<RedisResult<Value>> =
            self.client.send_with_retry(pipeline.ignore_errors()).await.map_err(classify)?;
        for marker in answers.split_off(answers.len().saturating_sub(tags.len())) {
            if marker.map_err(classify)? != Value::Int(1) {
                return Err(self.classifier().generation_lost());
            }
        }
        Ok(answers)
    }

    fn parse_states<B: StateBatch<State = S>>(
        &self,
        batch: &B,
        answers: Vec<RedisResult<Value>>,
    ) -> Result<Vec<VersionedState<S>>, ProjectionError> {
        let mut states = Vec::with_capacity(answers.len());
        for (index, (key, answer)) in batch.keys().iter().zip(answers).enumerate() {
            let stored = answer.and_then(|value| Ok(redis::from_redis_value::<RawState>(value)?));
            let stored = stored.map_err(|error| self.classifier().classify_error(error))?;
            let state = match parse_raw_state(key.as_str(), stored).map_err(ProjectionError::rejected)? {
                None => VersionedState { version: 0, state: batch.initial_state(index) },
                Some((version, text)) => {
                    let invalid = |reason: crate::error::BoxedError| {
                        ProjectionError::rejected(InvalidStoredState::new(key.as_str(), reason.to_string()))
                    };
                    VersionedState { version, state: batch.parse_state(index, version, &text).map_err(invalid)? }
                }
            };
            states.push(state);
        }
        Ok(states)
    }
}

fn first_tag<B: StateBatch>(batch: &B) -> Option<&str> {
    batch.keys().first().map(StateKey::tag)
}

/// Returns one of the errors, an unavailable store before all others: then it is unknown whether an event is at fault.
fn most_severe(outcomes: Vec<Result<(), ProjectionError>>) -> Result<(), ProjectionError> {
    let mut errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| !matches!(error, ProjectionError::Unavailable(_)));
    errors.into_iter().next().map_or(Ok(()), Err)
}
