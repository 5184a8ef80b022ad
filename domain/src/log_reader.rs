//! Reading the log in order, independently of the database that holds it.
//!
//! Read models are rebuilt from the log and compared with it, not with its copies. `eventstore` implements these
//! traits over Postgres; `projections` uses them.

use std::{future::Future, pin::Pin};

use uuid::Uuid;

use crate::{context::BoundedContext, envelope::RawEnvelope, event_store::StoreError};

/// A boxed future of a log operation; boxed so that the traits are object-safe.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRange {
    /// Only events of these contexts; empty means all.
    pub contexts: Vec<BoundedContext>,
    /// Only events of this stream; `None` means all.
    pub aggregate_id: Option<String>,
    /// Only events after this position; 0 is the start of the log.
    pub after: u64,
    /// Only events up to and including this position.
    pub to: u64,
    /// Maximum number of events per batch.
    pub batch_events: usize,
    /// Size in bytes at which no further event is added to a batch.
    pub batch_bytes: usize,
}

/// Events in the order of their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The events; may be empty when few events match the range.
    pub events: Vec<RawEnvelope>,
    /// Every matching event up to this position is in this batch or in an earlier one.
    pub watermark: u64,
}

/// Reads one part of the log in batches.
pub trait LogBatchReader: Send {
    /// The next events; `None` at the end of the part.
    fn read_next_batch(&mut self) -> LogFuture<'_, Option<LogBatch>>;
}

/// Read access to the log.
pub trait LogReader: Send + Sync {
    /// The identity of the log; positions are only valid within one incarnation.
    fn incarnation(&self) -> LogFuture<'_, Uuid>;

    /// The position up to which the log is complete: no event at or below it can still appear.
    fn load_fence(&self) -> LogFuture<'_, u64>;

    /// The number of events after a position, counted up to `limit`.
    fn count_after(&self, position: u64, contexts: &'static [BoundedContext], limit: u64) -> LogFuture<'_, u64>;

    /// The next events after a position, at most `limit` and none beyond `fence`. For small reads, where
    /// [`Self::read_batches`] would cost too much. `fence` must be a result of [`Self::load_fence`]. A page is
    /// also bounded in bytes: only an empty page means that there are no more events.
    fn load_after(&self, position: u64, fence: u64, limit: u32) -> LogFuture<'_, Vec<RawEnvelope>>;

    /// The events of one stream after a sequence, at most `limit`, in order.
    fn load_stream<'a>(
        &'a self,
        aggregate_type: &'a str,
        aggregate_id: &'a str,
        after: u64,
        limit: u32,
    ) -> LogFuture<'a, Vec<RawEnvelope>>;

    /// The number of events of an aggregate type. For types with few events: it reads an index entry for each.
    fn count_type<'a>(&'a self, aggregate_type: &'a str) -> LogFuture<'a, u64>;

    /// The events of all streams of an aggregate type, ordered by stream and sequence: those after the stream and the
    /// sequence `after`, at most `limit`. Each stream is complete up to its last event, also beyond the fence. For types
    /// with few events.
    fn load_type<'a>(
        &'a self,
        aggregate_type: &'a str,
        after: (&'a str, u64),
        limit: u32,
    ) -> LogFuture<'a, Vec<RawEnvelope>>;

    /// Starts reading a part of the log; never returns events beyond the completed prefix.
    fn read_batches(&self, part: LogRange) -> LogFuture<'_, Box<dyn LogBatchReader>>;
}
