//! Batches that are written at the same time, and committed one after the other.
//!
//! ```text
//! batch 1   begin ──write──▶ commit
//! batch 2         begin ──write──▶┆ commit
//! batch 3               (waits for a stream of batch 2) begin ──write──▶ commit
//! ```
//! Streams do not depend on each other: two batches are written at the same time only if they have no stream in common.
//! They begin and are committed in their order: a begun batch has a lock and a connection, and must never wait for a
//! batch that still waits for either. When a write or a commit fails, no later batch is committed, and all of them are
//! returned in their order.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    sync::Arc,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::batch_error::BatchError;

/// Writes and commits batches.
pub(super) trait BatchWriter: Send + Sync + 'static {
    /// A batch.
    type Batch: Send + Sync + 'static;
    /// What a batch holds from before its write until it is committed.
    type Begun: Send + 'static;
    /// The outcome of a batch.
    type Committed: Send + 'static;

    /// Hashes of the streams of a batch. Two streams with the same hash only cost time.
    fn stream_hashes(batch: &Self::Batch) -> &HashSet<u64>;

    /// Prepares the write of a batch. Called in the order of the batches.
    fn begin(&self, batch: &Self::Batch) -> impl Future<Output = Result<Self::Begun, WriteFailure>> + Send;

    /// Writes the events of a batch. Idempotent.
    fn write(&self, batch: &Self::Batch) -> impl Future<Output = Result<(), WriteFailure>> + Send;

    /// Saves that a batch is written. Called in the order of the batches.
    fn commit(
        &self,
        batch: &Self::Batch,
        begun: Self::Begun,
    ) -> impl Future<Output = Result<Self::Committed, WriteFailure>> + Send;
}

/// Why a batch in flight was not committed.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// The store rejects one of its events while it accepts others.
    Rejected,
    /// The batch has to be retried.
    Batch(BatchError),
    /// An earlier batch was not committed, or the batches were cancelled.
    Abandoned,
}

/// A batch that has ended.
pub(super) struct EndedBatch<W: BatchWriter> {
    pub(super) batch: W::Batch,
    pub(super) outcome: Result<W::Committed, WriteFailure>,
    /// What it still holds: its commit was not tried.
    pub(super) begun: Option<W::Begun>,
}

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum WriteStage {
    Pending,
    Begun,
    Written,
    Committed,
}

/// The batches in flight, in their order.
pub(super) struct InFlightBatches<W: BatchWriter> {
    writer: Arc<W>,
    /// How many batches are written at the same time.
    concurrency: usize,
    batches: VecDeque<InFlightBatch<W>>,
    /// The last batch that was started.
    last_stage: Option<watch::Receiver<WriteStage>>,
    cancel: CancellationToken,
}

struct InFlightBatch<W: BatchWriter> {
    streams: HashSet<u64>,
    stage: watch::Receiver<WriteStage>,
    task: JoinHandle<EndedBatch<W>>,
}

impl<W: BatchWriter> InFlightBatches<W> {
    pub(super) fn new(writer: Arc<W>, concurrency: usize) -> Self {
        let cancel = CancellationToken::new();
        Self { writer, concurrency: concurrency.max(1), batches: VecDeque::new(), last_stage: None, cancel }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Starts to write a batch, after the batches before it that have a stream in common with it.
    pub(super) fn start(&mut self, batch: W::Batch) {
        let streams = W::stream_hashes(&batch).clone();
        let is_before = |(index, earlier): &(usize, &InFlightBatch<W>)| {
            index + self.concurrency == self.batches.len() || !earlier.streams.is_disjoint(&streams)
        };
        let predecessors: Vec<_> =
            self.batches.iter().enumerate().filter(is_before).map(|(_, earlier)| earlier.stage.clone()).collect();
        let (sender, stage) = watch::channel(WriteStage::Pending);
        let previous = self.last_stage.replace(stage.clone());
        let (writer, cancel) = (Arc::clone(&self.writer), self.cancel.clone());
        let task = tokio::spawn(async move {
            let mut begun = None;
            let writing = write_and_commit(writer.as_ref(), &batch, &mut begun, predecessors, previous, &sender);
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(WriteFailure::Abandoned),
                outcome = writing => outcome,
            };
            EndedBatch { batch, outcome, begun }
        });
        self.batches.push_back(InFlightBatch { streams, stage, task });
    }

    /// Waits for the first batch; never ready while there is none. Cancel-safe.
    pub(super) async fn next_ended(&mut self) -> EndedBatch<W> {
        let Some(first) = self.batches.front_mut() else { return std::future::pending().await };
        let ended = join_task(&mut first.task).await;
        self.batches.pop_front();
        ended
    }

    /// Cancels the batches and returns those that are not committed, in their order. Their events may have been
    /// written.
    pub(super) async fn cancel(&mut self) -> Vec<EndedBatch<W>> {
        self.cancel.cancel();
        let mut returned = vec![];
        for mut cancelled in self.batches.drain(..) {
            let ended = join_task(&mut cancelled.task).await;
            if ended.outcome.is_err() {
                returned.push(ended);
            }
        }
        self.cancel = CancellationToken::new();
        self.last_stage = None;
        returned
    }
}

impl<W: BatchWriter> Drop for InFlightBatches<W> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// The result of a task. A panic goes on in the caller; the tasks are never aborted.
async fn join_task<T>(task: &mut JoinHandle<T>) -> T {
    match task.await {
        Ok(ended) => ended,
        Err(join_error) => match join_error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and nothing that waits goes on.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// `begun` has what the batch holds when this future is dropped or fails before the commit.
async fn write_and_commit<W: BatchWriter>(
    writer: &W,
    batch: &W::Batch,
    begun: &mut Option<W::Begun>,
    predecessors: Vec<watch::Receiver<WriteStage>>,
    previous: Option<watch::Receiver<WriteStage>>,
    stage: &watch::Sender<WriteStage>,
) -> Result<W::Committed, WriteFailure> {
    for predecessor in predecessors {
        wait_for_stage(predecessor, WriteStage::Written).await?;
    }
    if let Some(previous) = &previous {
        wait_for_stage(previous.clone(), WriteStage::Begun).await?;
    }
    *begun = Some(writer.begin(batch).await?);
    stage.send_replace(WriteStage::Begun);
    writer.write(batch).await?;
    stage.send_replace(WriteStage::Written);
    if let Some(previous) = previous {
        wait_for_stage(previous, WriteStage::Committed).await?;
    }
    let Some(begun) = begun.take() else { return Err(WriteFailure::Abandoned) };
    let committed = writer.commit(batch, begun).await?;
    stage.send_replace(WriteStage::Committed);
    Ok(committed)
}

async fn wait_for_stage(mut batch: watch::Receiver<WriteStage>, reached: WriteStage) -> Result<(), WriteFailure> {
    // An error means that the batch has ended before.
    batch.wait_for(|stage| *stage >= reached).await.map(drop).map_err(|_ended| WriteFailure::Abandoned)
}

#[cfg(test)]
mod tests;
