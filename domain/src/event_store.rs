//! Batch access to the log, for work that touches many streams at once.
//!
//! `cqrs-es` handles one aggregate per command. An import decides over hundreds of streams and appends in one
//! transaction; it uses [`BatchStore`], which `eventstore` implements.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
};

use cqrs_es::{Aggregate, AggregateError, EventStore, persist::EventStoreAggregateContext};
use uuid::Uuid;

use crate::{envelope::EventMetadata, fingerprint::Fingerprint};

/// A stored event as the fold of its aggregate needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The stream it belongs to.
    pub aggregate_id: String,
    /// Its number within the stream, from 1.
    pub sequence: u64,
    /// The event's name, e.g. `opportunity.discovered`.
    pub event_type: String,
    /// The event's schema version.
    pub event_version: String,
    /// The event as JSON text.
    pub payload: String,
}

/// An event about to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The kind of aggregate.
    pub aggregate_type: &'static str,
    /// The stream it belongs to.
    pub aggregate_id: String,
    /// Its number within the stream, from 1.
    pub sequence: u64,
    /// The event's name.
    pub event_type: String,
    /// The event's schema version.
    pub event_version: String,
    /// The event as JSON text.
    pub payload: String,
    /// Who and what caused it.
    pub metadata: EventMetadata,
}

/// Why reading or appending events failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer appended to one of the streams first; load and decide again.
    #[error("another writer appended to the stream first")]
    Conflict,
    /// The database is unavailable or rejected the request; a later retry may succeed.
    #[error("reaching the event store")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A command that was carried out, as found by its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessedCommand {
    /// The stream that it changed.
    pub aggregate_id: String,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// The sequence of its last event.
    pub version: u64,
    /// How many events it led to.
    pub events: usize,
    /// Digest of the client's request.
    pub digest: String,
}

/// Looks up commands by their idempotency keys.
pub trait IdempotencyStore: Send + Sync {
    /// The commands that a tenant's clients sent with these keys, by key, as far as they are recorded.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the log cannot be read.
    fn find_processed(
        &self,
        tenant_id: &str,
        keys: &[&str],
    ) -> impl Future<Output = Result<HashMap<String, ProcessedCommand>, StoreError>> + Send;
}

/// The events that one command leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedCommand<E> {
    /// The events, in order.
    pub events: Vec<E>,
    /// Who and what caused them.
    pub metadata: EventMetadata,
}

/// Appends the events of several commands to one stream.
pub trait CommandBatchStore<A: Aggregate>: Send + Sync {
    /// Appends the events of all commands behind `current_sequence`, or none of them.
    ///
    /// # Errors
    /// [`AggregateError::AggregateConflict`] when a sequence is taken; others when the log does not accept the events.
    fn append_commands(
        &self,
        aggregate_id: &str,
        current_sequence: usize,
        commands: Vec<DecidedCommand<A::Event>>,
    ) -> impl Future<Output = Result<(), AggregateError<A::Error>>> + Send;
}

/// Provides the store of each aggregate type over one log.
pub trait AggregateStores: Send + Sync {
    /// The store of one aggregate type.
    type Store<A: Aggregate + Fingerprint>: EventStore<A, AC = EventStoreAggregateContext<A>>
        + IdempotencyStore
        + CommandBatchStore<A>;

    /// The store of the aggregate type `A`.
    fn store_for<A: Aggregate + Fingerprint>(&self) -> Self::Store<A>;
}

/// Loads and appends many streams at once.
pub trait BatchStore: Send + Sync {
    /// All events of the named streams, ordered by stream and sequence. Unknown streams have none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the log cannot be read.
    fn load_streams(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// Appends all events in one transaction, in the order given, or none of them.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a sequence is taken, [`StoreError::Unavailable`] otherwise.
    fn append_events(&self, events: Vec<NewEvent>) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A fact about to be appended: an event that is recorded without a decision of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// The stream it belongs to; the log assigns the sequence.
    pub aggregate_id: String,
    /// The fact's id, the same each time it is sent.
    pub event_id: Uuid,
    /// The event's name.
    pub event_type: String,
    /// The event's schema version.
    pub event_version: String,
    /// The event as JSON text.
    pub payload: String,
    /// Who and what caused it; facts of one request share it.
    pub metadata: Arc<EventMetadata>,
}

/// The outcome of appending a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactOutcome {
    /// The fact was appended.
    Recorded,
    /// The fact was recorded before, or occurs more than once in the batch.
    Known,
    /// The stream has reached its maximum number of events.
    StreamFull,
}

/// Appends facts without reading their streams.
pub trait FactStore: Send + Sync {
    /// Appends the facts that are not recorded yet, in one transaction and in the order given; returns the outcome of
    /// each. Facts beyond `stream_events` events in one stream are not appended.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer appends to one of the streams at the same time,
    /// [`StoreError::Unavailable`] otherwise. None of the facts is recorded then, or all of them if only the response
    /// was lost.
    fn append_facts(
        &self,
        facts: &[NewFact],
        stream_events: u64,
    ) -> impl Future<Output = Result<Vec<FactOutcome>, StoreError>> + Send;

    /// Which of these streams exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the log cannot be read.
    fn existing_streams(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> impl Future<Output = Result<HashSet<String>, StoreError>> + Send;
}
