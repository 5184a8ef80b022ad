//! The event store for single commands: loading a stream takes one round trip and appending to it another, each shared
//! by all commands that wait at the same time (ADR 0009).

mod connection;
mod error;
mod group_commit;
mod group_queue;
mod idempotency;
mod snapshot_writer;
mod stream_loader;
mod stream_queue;

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use cqrs_es::{
    Aggregate, AggregateError, DomainEvent, EventEnvelope, EventStore,
    persist::{EventStoreAggregateContext, PersistedEventStore},
};
use domain::{
    event_store::{CommandBatchStore, DecidedCommand},
    fingerprint::Fingerprint,
    stream_id::StreamId,
    upcast,
};
use postgres_es::PostgresEventRepository;
use sqlx::{PgPool, Row, postgres::PgRow};

pub use self::error::{AppendError, LoadError};
use self::{
    group_commit::{GroupCommit, PendingEvent},
    group_queue::{JobSize, QueueLimits},
    idempotency::ProcessedCommandFinder,
    snapshot_writer::{SnapshotWriter, StreamSnapshot},
    stream_loader::{StreamLoader, StreamRow},
};
use crate::postgres::PostgresConfig;

const LOAD_EVENTS: &str = include_str!("store/load_events.sql");

/// Maximum bytes of events in one statement.
const GROUP_BYTES: usize = 1024 * 1024;

/// `postgres-es` over the same table: the baseline that benchmarks compare this module with; not used by the product.
pub type BaselineEventStore<A> = PersistedEventStore<PostgresEventRepository, A>;

/// Creates the baseline store of one aggregate type.
pub fn new_baseline_store<A: Aggregate>(pool: PgPool) -> BaselineEventStore<A> {
    PersistedEventStore::new_event_store(PostgresEventRepository::new(pool))
}

/// Loads and appends one stream per command, with optimistic concurrency on the stream's sequence.
///
/// Clones and the results of [`Self::store_for`] share connections and groups.
pub struct PgEventStore<A> {
    shared: Arc<EventStoreInner>,
    aggregate: PhantomData<fn() -> A>,
}

struct EventStoreInner {
    pool: PgPool,
    appender: GroupCommit,
    loader: StreamLoader,
    processed_commands: ProcessedCommandFinder,
    snapshots: SnapshotWriter,
    snapshot_every: usize,
}

impl<A> PgEventStore<A> {
    /// Creates a store over the log in the database of `pool`. It opens its own connections when it first needs them
    /// ([`PostgresConfig::store_lanes`]).
    pub fn new(pool: PgPool, config: &PostgresConfig) -> Self {
        let lanes = config.store_lanes();
        let limits = |lanes: usize| QueueLimits {
            lanes,
            group_limit: JobSize { rows: config.group_events.max(1), bytes: GROUP_BYTES },
        };
        let shared = EventStoreInner {
            appender: GroupCommit::new(&pool, limits(lanes.append)),
            loader: StreamLoader::new(&pool, limits(lanes.load)),
            processed_commands: ProcessedCommandFinder::new(&pool, limits(lanes.lookup)),
            snapshots: SnapshotWriter::new(&pool, limits(lanes.snapshot)),
            snapshot_every: config.snapshot_every,
            pool,
        };
        Self { shared: Arc::new(shared), aggregate: PhantomData }
    }

    /// The store of another aggregate type, over the same connections and groups.
    pub fn store_for<B>(&self) -> PgEventStore<B> {
        PgEventStore { shared: Arc::clone(&self.shared), aggregate: PhantomData }
    }
}

impl<A> Clone for PgEventStore<A> {
    fn clone(&self) -> Self {
        self.store_for()
    }
}

impl<A> std::fmt::Debug for PgEventStore<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgEventStore").field("pool", &self.shared.pool).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Fingerprint> EventStore<A> for PgEventStore<A> {
    type AC = EventStoreAggregateContext<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let rows = sqlx::query(LOAD_EVENTS)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .fetch_all(&self.shared.pool)
            .await
            .map_err(to_aggregate_error)?;
        rows.iter().map(|row| envelope_from_row(aggregate_id, row).map_err(AggregateError::from)).collect()
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        let stream = StreamId::new(A::TYPE, aggregate_id);
        let fingerprint = if self.shared.snapshot_every > 0 { A::FINGERPRINT } else { "" };
        let rows = self.shared.loader.load_stream(stream.clone(), fingerprint).await?;
        let folded = if let Some(folded) = FoldedState::<A>::from_rows(&stream, &rows)? {
            folded
        } else {
            // The snapshot is unreadable: the whole stream is folded instead.
            let rows = self.shared.loader.load_stream(stream.clone(), "").await?;
            FoldedState::from_rows(&stream, &rows)?.unwrap_or_default()
        };
        self.offer_snapshot(stream, &folded);
        Ok(EventStoreAggregateContext {
            aggregate_id: aggregate_id.to_owned(),
            aggregate: folded.aggregate,
            current_sequence: usize::try_from(folded.sequence).unwrap_or(usize::MAX),
            current_snapshot: None,
        })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let metadata_json: Arc<str> = serde_json::to_string(&metadata).map_err(serialization_error)?.into();
        let mut sequence = context.current_sequence;
        let (mut pending_events, mut envelopes) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for event in events {
            sequence += 1;
            pending_events.push(pending_event(sequence, &event, &metadata_json).map_err(serialization_error)?);
            let (aggregate_id, metadata) = (context.aggregate_id.clone(), metadata.clone());
            envelopes.push(EventEnvelope { aggregate_id, sequence, payload: event, metadata });
        }
        self.shared.appender.append(StreamId::new(A::TYPE, context.aggregate_id), pending_events).await?;
        Ok(envelopes)
    }
}

impl<A: Aggregate + Fingerprint> CommandBatchStore<A> for PgEventStore<A> {
    async fn append_commands(
        &self,
        aggregate_id: &str,
        current_sequence: usize,
        commands: Vec<DecidedCommand<A::Event>>,
    ) -> Result<(), AggregateError<A::Error>> {
        let mut sequence = current_sequence;
        let mut pending_events = Vec::new();
        for DecidedCommand { events, metadata } in commands {
            let metadata_json: Arc<str> = serde_json::to_string(&metadata).map_err(serialization_error)?.into();
            for event in events {
                sequence += 1;
                pending_events.push(pending_event(sequence, &event, &metadata_json).map_err(serialization_error)?);
            }
        }
        if pending_events.is_empty() {
            return Ok(());
        }
        Ok(self.shared.appender.append(StreamId::new(A::TYPE, aggregate_id), pending_events).await?)
    }
}

fn pending_event(
    sequence: usize,
    event: &impl DomainEvent,
    metadata: &Arc<str>,
) -> Result<PendingEvent, serde_json::Error> {
    Ok(PendingEvent {
        sequence: u64::try_from(sequence).unwrap_or(u64::MAX),
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(event)?,
        metadata: Arc::clone(metadata),
    })
}

impl<A: Aggregate + Fingerprint> PgEventStore<A> {
    /// Offers a snapshot after a load that folded many events, so that the next load folds few. Snapshots are made
    /// after loads rather than after commits, because a loaded state is certainly the one after the stream's last
    /// event, and because no append then waits for a snapshot.
    fn offer_snapshot(&self, stream: StreamId, folded: &FoldedState<A>) {
        let every = self.shared.snapshot_every;
        if every == 0 || folded.folded_events < every {
            return;
        }
        match serde_json::to_string(&folded.aggregate) {
            Ok(payload) => {
                let (fingerprint, last_sequence) = (A::FINGERPRINT, folded.sequence);
                self.shared.snapshots.offer(StreamSnapshot { stream, fingerprint, last_sequence, payload });
            }
            Err(error) => {
                tracing::warn!(aggregate.id = &*stream.aggregate_id, %error, "snapshot skipped: serialization failed");
            }
        }
    }
}

/// The state of an aggregate after the event `sequence`, and the number of events that were folded onto the snapshot.
#[derive(Default)]
struct FoldedState<A> {
    aggregate: A,
    sequence: u64,
    folded_events: usize,
}

impl<A: Aggregate + Fingerprint> FoldedState<A> {
    /// Folds the rows of a stream; `None` when they begin with a snapshot that cannot be read.
    fn from_rows(stream: &StreamId, rows: &[PgRow]) -> Result<Option<Self>, LoadError> {
        let mut folded = Self { aggregate: A::default(), sequence: 0, folded_events: 0 };
        for row in rows {
            let row = StreamRow::new(row);
            let sequence = row.sequence().map_err(to_load_error)?;
            if let Some(event_type) = row.event_type().map_err(to_load_error)? {
                folded.aggregate.apply(decode_event::<A>(&stream.aggregate_id, event_type, &row)?);
                folded.folded_events += 1;
            } else {
                match serde_json::from_str(row.payload().map_err(to_load_error)?) {
                    Ok(aggregate) => folded.aggregate = aggregate,
                    Err(error) => {
                        let id = &*stream.aggregate_id;
                        tracing::warn!(aggregate.id = id, sequence, %error, "unreadable snapshot ignored");
                        return Ok(None);
                    }
                }
            }
            folded.sequence = sequence;
        }
        Ok(Some(folded))
    }
}

fn decode_event<A: Aggregate + Fingerprint>(
    aggregate_id: &str,
    event_type: &str,
    row: &StreamRow<'_>,
) -> Result<A::Event, LoadError> {
    let event_version = row.event_version().map_err(to_load_error)?;
    let (sequence, position) = (row.sequence().map_err(to_load_error)?, row.position().map_err(to_load_error)?);
    let payload = row.payload().map_err(to_load_error)?;
    upcast::decode_event_of::<A>(event_type, event_version, payload).map_err(|source| LoadError::Undecodable {
        aggregate_type: A::TYPE,
        aggregate_id: aggregate_id.to_owned(),
        sequence,
        position,
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        source: Arc::new(source),
    })
}

fn envelope_from_row<A: Aggregate + Fingerprint>(
    aggregate_id: &str,
    row: &PgRow,
) -> Result<EventEnvelope<A>, LoadError> {
    let metadata: String = row.try_get(6).map_err(to_load_error)?;
    let row = StreamRow::new(row);
    Ok(EventEnvelope {
        aggregate_id: aggregate_id.to_owned(),
        sequence: usize::try_from(row.sequence().map_err(to_load_error)?).unwrap_or(usize::MAX),
        payload: decode_event::<A>(aggregate_id, row.event_type().map_err(to_load_error)?.unwrap_or_default(), &row)?,
        metadata: serde_json::from_str(&metadata).map_err(|error| to_load_error(sqlx::Error::Decode(error.into())))?,
    })
}

fn to_load_error(error: sqlx::Error) -> LoadError {
    LoadError::Unavailable(Arc::new(error))
}

fn to_aggregate_error<E: std::error::Error>(error: sqlx::Error) -> AggregateError<E> {
    to_load_error(error).into()
}

fn serialization_error<E: std::error::Error>(error: serde_json::Error) -> AggregateError<E> {
    AppendError::Unserializable(Arc::new(error)).into()
}
