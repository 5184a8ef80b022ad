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
    /// A queue with room for `limit` lines, including the lines that are being sent.
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
}

/// Lines that are being sent. They have left the queue when this is dropped, however the sending ends.
struct LinesInTransit<'a> {
    queue: &'a LogQueue,
    lines: usize,
}

impl Drop for LinesInTransit<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(self.lines, Ordering::Relaxed);
    }
}

fn count_dropped(reason: &'static str, lines: usize) {
    counter!("medhub_log_records_dropped_total", "reason" => reason)
        .increment(u64::try_from(lines).unwrap_or(u64::MAX));
}

/// An exporter that reports to the queue which lines have left it.
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
        let transit = LinesInTransit { queue: &self.queue, lines: batch.iter().count() };
        let result = self.exporter.export(batch).await;
        if result.is_err() {
            count_dropped("export_failed", transit.lines);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use opentelemetry::logs::{Logger as _, LoggerProvider as _};
    use opentelemetry_sdk::{
        error::OTelSdkError,
        logs::{SdkLogger, SdkLoggerProvider},
    };

    use super::*;

    /// A collector that is away, or counts what it receives.
    #[derive(Debug, Clone, Default)]
    struct UnsteadyCollector {
        is_away: Arc<AtomicBool>,
        received: Arc<AtomicUsize>,
    }

    impl LogExporter for UnsteadyCollector {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(OTelSdkError::InternalFailure("away".to_owned()));
            }
            self.received.fetch_add(batch.iter().count(), Ordering::Relaxed);
            Ok(())
        }
    }

    fn log_lines(logger: &SdkLogger, queue: &LogQueue, lines: usize) {
        for _ in 0..lines {
            if queue.reserve() {
                logger.emit(logger.create_log_record());
            }
        }
    }

    #[test]
    fn sent_and_failed_lines_free_their_place_and_unsent_ones_are_counted() {
        let collector = UnsteadyCollector::default();
        let queue = Arc::new(LogQueue::new(2));
        let exporter = QueuedLogExporter::new(collector.clone(), Arc::clone(&queue));
        let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter).build();
        let logger = provider.logger("test");
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            collector.is_away.store(true, Ordering::Relaxed);
            log_lines(&logger, &queue, 3);
            collector.is_away.store(false, Ordering::Relaxed);
            log_lines(&logger, &queue, 4);
            assert!(queue.reserve() && queue.reserve(), "all room was given back");
            log_lines(&logger, &queue, 1);
        });
        assert_eq!(collector.received.load(Ordering::Relaxed), 4);
        let counted = recorder.handle().render();
        for expected in [
            "medhub_log_records_dropped_total{reason=\"export_failed\"} 3\n",
            "medhub_log_records_dropped_total{reason=\"queue_full\"} 1\n",
        ] {
            assert!(counted.contains(expected), "{counted}");
        }
    }
}
