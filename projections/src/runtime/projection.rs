//! The trait that each projection implements.

use std::{future::Future, time::Duration};

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, RowScan, ScopeSelection, VerifyScope};
use crate::QueryError;

/// Derives a read model from the log. A value of the type is a handle to one generation.
///
/// The runtime does everything else: consuming, batching, order, retries, dead letters, watermarks, rebuild, verify and
/// metrics.
pub trait Projection: Clone + Send + Sync + 'static {
    /// Its name in consumer groups, metric labels and command line arguments. Never reused for another projection.
    const NAME: &'static str;

    /// Whether it has a read model, which can be rebuilt and verified. A forwarding projection only passes events on,
    /// and starts with the events that are recorded after its registration.
    const HAS_READ_MODEL: bool = true;

    /// How a broker delivers its events.
    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::Collect;

    /// Whether it reads the payloads of events. Otherwise its worker does not decode those from Kafka, which are empty.
    const READS_PAYLOADS: bool = true;

    /// How many batches are written at the same time. More than one only if the changes of two streams never depend on
    /// each other: batches that are written together have no stream in common.
    const CONCURRENT_WRITES: usize = 1;

    /// The kind of its store, as OpenTelemetry names it in `db.system.name`.
    const STORE: &'static str = "postgresql";

    /// A change of the store that an event causes.
    type Change: Send + Sync + 'static;

    /// The contexts whose events it consumes.
    fn subscribed_contexts() -> &'static [BoundedContext];

    /// Batch sizes that suit its store.
    fn batch_limits() -> BatchLimits;

    /// A handle to another generation.
    #[must_use]
    fn with_generation(&self, generation: ReadModelGeneration) -> Self;

    /// A handle to the same generation that may copy values that are expensive to compute from the generation `active`.
    #[must_use]
    fn with_copy_source(&self, _active: ReadModelGeneration) -> Self {
        self.clone()
    }

    /// Turns an event into changes. Pure: no I/O and no clock.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the event's payload has an unknown shape.
    fn project(event: &RawEnvelope) -> Result<Vec<Self::Change>, ProjectionError>;

    /// Writes changes, in order. Idempotent.
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`] when the store did not accept all of them, [`ProjectionError::Rejected`] when it
    /// accepts others but not these, [`ProjectionError::Poison`] when one of them contradicts the store's content.
    fn apply(&self, changes: &[Self::Change]) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Skips an event that an operator has dropped and that will never be applied, so that the next event of its stream
    /// can be. Idempotent.
    ///
    /// # Errors
    /// As [`Self::apply`].
    fn skip_event(&self, _event: &RawEnvelope) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        async { Ok(()) }
    }

    /// Whether the store returns this change, or a later state. Called for the last change of a batch, because stores
    /// have acknowledged writes that they then lost.
    ///
    /// # Errors
    /// [`QueryError`] when the store does not answer.
    fn is_applied(&self, change: &Self::Change) -> impl Future<Output = Result<bool, QueryError>> + Send;

    /// Checks that the store answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    fn ping(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Creates what this generation is stored in: tables, a collection, a marker. Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the store is unavailable or refuses.
    fn prepare(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Creates this generation's tables or keys for a rebuild: it is filled from the log, and no query reads it before
    /// [`Self::end_fill`]. Idempotent.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn begin_fill(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        self.prepare()
    }

    /// Completes this generation after it was filled from the log, e.g. creates its indexes; events follow afterwards.
    /// Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the store is unavailable or refuses.
    fn end_fill(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        async { Ok(()) }
    }

    /// Removes all data of this generation. Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the store is unavailable or refuses.
    fn discard(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Makes direct readers of the store, such as analysts with SQL, read this generation. Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the store is unavailable or refuses.
    fn switch_direct_readers(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        async { Ok(()) }
    }

    /// Creates an empty fold. It computes the expected rows of the streams whose events are applied to it, or the
    /// expected totals for [`VerifyScope::Totals`].
    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold>;

    /// The rows of the store within `scope`.
    ///
    /// # Errors
    /// [`QueryError`] when the store does not answer, or its data cannot be decoded.
    fn read_back(&self, scope: &VerifyScope) -> impl Future<Output = Result<Vec<ReadModelRow>, QueryError>> + Send;

    /// A scan of the rows of these scopes, if the store has to read all rows to find the rows of some buckets. A long
    /// log is then compared with one scan, instead of one [`Self::read_back`] for each part.
    fn scan_store(&self, _scopes: ScopeSelection) -> Option<Box<dyn RowScan>> {
        None
    }
}

/// How a broker delivers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchStrategy {
    /// It collects events for [`ConsumerConfig::fetch_pause_ms`](super::ConsumerConfig::fetch_pause_ms) after each answer:
    /// for contexts with many events, which would otherwise cost a request each.
    Collect,
    /// It delivers each event at once: for contexts with few events, and cheapest while idle.
    AtOnce,
}

/// Batch sizes that suit a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Maximum number of events in a batch.
    pub batch_events: usize,
    /// The shortest time between two batches that are not full. While batches take longer than half of it, it is twice the time of
    /// a batch, up to five times the linger and at least up to 50 ms. The first event after a silence does not wait.
    pub linger: Duration,
    /// Maximum number of events in a batch of a rebuild.
    pub rebuild_events: usize,
}
