//! Runs the parsing and comparison of schemas on threads for blocking work.
//!
//! Schemas are untrusted input, also in requests that only check compatibility. The cost of each is bounded, but still
//! too high for a thread of the runtime that serves other requests.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{AvroSchema, InvalidSchema, SchemaStore};

/// Maximum number of schemas that a process parses or compares at the same time; other requests wait, within their time
/// limits.
const MAX_CONCURRENT_WORK: usize = 2;

/// Runs work on schemas with limited concurrency. Cheap to clone; clones share the limit.
#[derive(Debug, Clone)]
pub(super) struct SchemaWorkers {
    permits: Arc<Semaphore>,
}

impl Default for SchemaWorkers {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_CONCURRENT_WORK)) }
    }
}

impl SchemaWorkers {
    /// Runs `work` on a thread that may block, once a permit is free.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        run_blocking(move || {
            // The work holds the permit: it continues even if the caller has dropped this future.
            let _permit = permit;
            work()
        })
        .await
    }
}

/// Runs `work` on a thread that may block, without a permit: for registrations, which a lock admits one at a time.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

impl SchemaStore {
    /// Parses a schema on a thread that may block.
    ///
    /// # Errors
    /// [`InvalidSchema`] with the reason.
    pub async fn parse_schema(&self, text: String) -> Result<AvroSchema, InvalidSchema> {
        self.workers.run(move || AvroSchema::parse(&text)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn abandoned_work_holds_its_permit_until_it_ends() {
        let workers = SchemaWorkers::default();
        let started = Arc::new(AtomicUsize::new(0));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..MAX_CONCURRENT_WORK).map(|_| mpsc::channel::<()>()).unzip();
        for receiver in receivers {
            let started = Arc::clone(&started);
            // The future is dropped at the end of the iteration, after the work was handed over.
            let mut work = Box::pin(workers.run(move || {
                started.fetch_add(1, Ordering::SeqCst);
                let _ = receiver.recv();
            }));
            assert!(futures::poll!(&mut work).is_pending());
        }
        let mut waiting = Box::pin(workers.run(|| ()));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(workers.permits.available_permits(), 0);
        drop(senders);
        waiting.await;
        assert!(started.load(Ordering::SeqCst) >= 1);
    }
}
