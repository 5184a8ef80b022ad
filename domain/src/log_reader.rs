//! Reading the log in order, for those who must not know what holds it.
//!
//! Read models are rebuilt and compared from the log, not from its copies. `eventstore` implements these traits over
//! Postgres; `projections` uses them.

use std::{future::Future, pin::Pin};

use uuid::Uuid;

use crate::{context::BoundedContext, envelope::RawEnvelope, event_store::StoreError};

/// An answer that is being waited for.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRange {
    /// Events of these contexts; none means all.
    pub contexts: Vec<BoundedContext>,
    /// Events of this stream only.
    pub aggregate_id: Option<String>,
    /// Events behind this position; 0 is the start of the log.
    pub after: u64,
    /// Events up to this position, itself included.
    pub to: u64,
    /// Events handed out together, at most.
    pub batch_events: usize,
    /// A batch is not added to from so many bytes on.
    pub batch_bytes: usize,
}

/// Events in the order of their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The events; may be none where few are wanted.
    pub events: Vec<RawEnvelope>,
    /// Every wanted event up to here is in this batch or in one before it.
    pub watermark: u64,
}

/// Hands out one part of the log.
pub trait LogBatchReader: Send {
    /// The next events; `None` at the end of the part.
    fn read_next_batch(&mut self) -> LogFuture<'_, Option<LogBatch>>;
}

/// The log, to be read.
pub trait LogReader: Send + Sync {
    /// Which log it is: positions mean nothing in another one.
    fn incarnation(&self) -> LogFuture<'_, Uuid>;

    /// The position up to which the log is complete: no event at or below it can still appear.
    fn completed_prefix(&self) -> LogFuture<'_, u64>;

    /// How many events stand behind a position, counted up to `limit`.
    fn count_after(&self, position: u64, contexts: &'static [BoundedContext], limit: u64) -> LogFuture<'_, u64>;

    /// The next events behind a position, `limit` at most, none beyond `fence`: for a few at a time, where [`Self::read_batches`]
    /// would be too much. `fence` comes from a call of [`Self::completed_prefix`] that has ended. A page is also bounded in
    /// bytes: only one without events says that there are no more.
    fn load_after(&self, position: u64, fence: u64, limit: u32) -> LogFuture<'_, Vec<RawEnvelope>>;

    /// The events of one stream behind a sequence, `limit` at most, in their order.
    fn load_stream<'a>(
        &'a self,
        aggregate_type: &'a str,
        aggregate_id: &'a str,
        after: u64,
        limit: u32,
    ) -> LogFuture<'a, Vec<RawEnvelope>>;

    /// Starts to read; nothing beyond the completed prefix is handed out.
    fn read_batches(&self, part: LogRange) -> LogFuture<'_, Box<dyn LogBatchReader>>;
}
