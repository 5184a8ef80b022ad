//! Parsing and comparing schemas beside the runtime's threads.
//!
//! A schema may come from anybody, also from those who only ask whether it would be compatible. What it costs is bounded,
//! and still too much for a thread that serves others.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{AvroSchema, InvalidSchema, SchemaStore};

/// How many schemas are worked on at once in this process; the others wait, within their requests' time.
const MAX_CONCURRENT_WORK: usize = 2;

/// Runs work on schemas, a few at a time. Cheap to clone; clones share the bound.
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
    /// Runs `work` on a thread that may block, once one of the few is free.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        run_blocking(move || {
            // Goes with the work: who asked may have gone away, and the work goes on.
            let _permit = permit;
            work()
        })
        .await
    }
}

/// Runs `work` on a thread that may block, whatever else is under way: for those that the lock of registrations lets in
/// one by one.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

impl SchemaStore {
    /// Understands a schema on a thread that may block.
    ///
    /// # Errors
    /// [`InvalidSchema`] saying what it is not.
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
    async fn only_a_few_schemas_are_worked_on_at_once_also_when_nobody_waits_for_them() {
        let workers = SchemaWorkers::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (ends, releases): (Vec<_>, Vec<_>) = (0..MAX_CONCURRENT_WORK).map(|_| mpsc::channel::<()>()).unzip();
        for release in releases {
            let begun = Arc::clone(&begun);
            // Who asked goes away once the work is handed over.
            let mut work = Box::pin(workers.run(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = release.recv();
            }));
            assert!(futures::poll!(&mut work).is_pending());
        }
        let mut waiting = Box::pin(workers.run(|| ()));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(workers.permits.available_permits(), 0);
        drop(ends);
        waiting.await;
        assert!(begun.load(Ordering::SeqCst) >= 1);
    }
}
