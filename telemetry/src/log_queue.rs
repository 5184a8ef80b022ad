//! Bounds how many lines of the log wait for the collector, and counts those that are not sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::counter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
};

/// The lines that wait. The queue of the library below has the same size, so that nothing is dropped there uncounted.
#[derive(Debug)]
pub(crate) struct LogQueue {
    limit: usize,
    waiting: AtomicUsize,
}

impl LogQueue {
    /// A queue with room for `limit` lines, of which those count that are being sent.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, waiting: AtomicUsize::new(0) }
    }

    /// Reserves room for a line; counts it as dropped if there is none.
    pub(crate) fn reserve(&self) -> bool {
        let one_more = |waiting| (waiting < self.limit).then_some(waiting + 1);
        let has_room = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        if !has_room {
            count_dropped("queue_full", 1);
        }
        has_room
    }

    fn release(&self, lines: usize) {
        self.waiting.fetch_sub(lines, Ordering::Relaxed);
    }
}

fn count_dropped(reason: &'static str, lines: usize) {
    counter!("medhub_log_records_dropped_total", "reason" => reason)
        .increment(u64::try_from(lines).unwrap_or(u64::MAX));
}

/// An exporter that tells the queue what has left it.
#[derive(Debug)]
pub(crate) struct QueuedLogExporter<E> {
    exporter: E,
    queue: Arc<LogQueue>,
}

impl<E> QueuedLogExporter<E> {
    pub(crate) fn new(exporter: E, queue: Arc<LogQueue>) -> Self {
        Self { exporter, queue }
    }
}

impl<E: LogExporter> LogExporter for QueuedLogExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let lines = batch.iter().count();
        let result = self.exporter.export(batch).await;
        self.queue.release(lines);
        if result.is_err() {
            count_dropped("export_failed", lines);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
