//! Decodes and projects batches, while those before them are written.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use domain::envelope::RawEnvelope;
use telemetry::{EventSpans, MessagingStep};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Worker, batch_error::BatchError, worker_metrics};
use crate::runtime::{
    ProjectedChanges, WorkerState,
    consumed_record::ConsumedRecord,
    consumer::{BatchSlot, FetchedBatch, PartitionAssignment},
};

/// Number of records that are decoded before other tasks have their turn.
const RECORDS_PER_TURN: usize = 256;

/// Hashes streams alike in all batches of the process.
static STREAM_HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A decoded and projected batch.
pub(super) struct PreparedBatch {
    pub(super) records: Vec<ConsumedRecord>,
    /// See [`FetchedBatch::assignment_version`].
    pub(super) assignment_version: u64,
    /// Dropped with the batch.
    _slot: BatchSlot,
    /// The changes of all its events; `None` if one of them cannot be decoded or projected, so that it has to be parked.
    pub(super) projected: Option<ProjectedChanges>,
    /// Hashes of the streams of its events.
    pub(super) streams: HashSet<u64>,
    /// Spans of its events; they end with the batch.
    pub(super) spans: EventSpans,
}

impl PreparedBatch {
    /// Drops the records of partitions that are no longer assigned; then the others are projected again.
    pub(super) fn drop_revoked(&mut self, assignment: &PartitionAssignment) {
        self.records.retain(|record| assignment.contains(&record.topic, record.partition));
        self.projected = None;
    }
}

impl Worker {
    /// Prepares batches one after the other. Ends with either channel.
    pub(super) async fn prepare_batches(
        self: Arc<Self>,
        mut fetched: mpsc::Receiver<FetchedBatch>,
        prepared: mpsc::Sender<PreparedBatch>,
        shutdown: CancellationToken,
    ) {
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = prepared.closed() => return,
                batch = fetched.recv() => batch,
            };
            let Some(FetchedBatch { mut records, assignment_version, slot }) = batch else { return };
            let received = SystemTime::now();
            if self.projection.reads_payloads() && !self.decode_with_retry(&mut records, &shutdown).await {
                return;
            }
            let (projected, streams) = self.project_records(&records);
            let spans = self.start_spans(received, &records);
            let batch = PreparedBatch { records, assignment_version, _slot: slot, projected, streams, spans };
            // The channel has room for as many batches as there are slots.
            if prepared.send(batch).await.is_err() {
                return;
            }
        }
    }

    /// Decodes records, retrying without limit. Returns false when shutdown comes first.
    async fn decode_with_retry(&self, records: &mut [ConsumedRecord], shutdown: &CancellationToken) -> bool {
        let mut failures = 0;
        loop {
            let batch_timeout = self.runtime.config.batch_timeout();
            let outcome = timeout(batch_timeout, self.decode_records(records)).await;
            let timed_out = || BatchError::TimedOut { waited_s: batch_timeout.as_secs_f64() };
            let Err(error) = outcome.unwrap_or_else(|_elapsed| Err(timed_out())) else { return true };
            failures += 1;
            self.count_failure(&error, failures);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(self.runtime.config.retry_pause(failures)) => {}
            }
        }
    }

    async fn decode_records(&self, records: &mut [ConsumedRecord]) -> Result<(), BatchError> {
        for turn in records.chunks_mut(RECORDS_PER_TURN) {
            for record in turn {
                record.decode_event(&self.runtime.registry).await.map_err(BatchError::from_decode_error)?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Starts the spans of events that were received at `received`.
    fn start_spans(&self, received: SystemTime, records: &[ConsumedRecord]) -> EventSpans {
        if !telemetry::is_exporting() {
            return EventSpans::default();
        }
        let projection = self.projection.name();
        let consumer_group = self.runtime.config.group_id(projection, self.build.generation);
        let step = MessagingStep::Process { projection, consumer_group: &consumer_group };
        let events = records.iter().filter(|record| !self.is_before_handover(record));
        let traces = events
            .filter_map(|record| Some((record.topic.as_str(), record.event.as_ref()?.metadata.traceparent.as_str())));
        EventSpans::start(step, received, traces)
    }

    fn project_records(&self, records: &[ConsumedRecord]) -> (Option<ProjectedChanges>, HashSet<u64>) {
        let events = self.events_to_apply(records);
        let streams = events.iter().map(|event| STREAM_HASHER.hash_one((&event.aggregate_type, &event.aggregate_id)));
        let streams = streams.collect();
        if records.iter().any(|record| record.decode_error.is_some()) {
            return (None, streams);
        }
        let projected = self.projection.project(&events);
        (projected.poison.is_empty().then_some(projected), streams)
    }

    /// The events of the records, without those that were applied before the handover.
    pub(super) fn events_to_apply<'a>(&self, records: &'a [ConsumedRecord]) -> Vec<&'a RawEnvelope> {
        let records = records.iter().filter(|record| !self.is_before_handover(record));
        records.filter_map(|record| record.event.as_ref()).collect()
    }

    /// Reports a failed attempt. Returns whether the circuit is open.
    pub(super) fn count_failure(&self, error: &BatchError, failures: u32) -> bool {
        worker_metrics::count_retry(&self.metric_labels());
        let is_circuit_open = failures >= self.runtime.config.breaker_failures.max(1);
        self.report_failure(error, if is_circuit_open { WorkerState::Paused } else { WorkerState::Retrying });
        is_circuit_open
    }
}
