//! Admits work to a resource that serves a limited amount of it well, such as a store or the process itself: a limited
//! number runs at once, and the queue is short enough that each is served in time. The rest is refused at once, so that
//! what is served stays fast under any load.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Assumed duration of work before any was measured, in microseconds.
const INITIAL_DURATION_US: u64 = 2_000;

/// Weight of the latest work in the mean duration is one divided by this.
const MEAN_WEIGHT: u64 = 16;

/// Too much work waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests are waiting, try again in {retry_after_s} s")]
pub(crate) struct QueueFull {
    /// Seconds until the work that waits now is served; at least 1.
    pub(crate) retry_after_s: u64,
}

impl QueueFull {
    /// The refusal of work that would have to wait for this time.
    pub(crate) fn with_wait(wait: Duration) -> Self {
        Self { retry_after_s: wait.as_secs().max(1) }
    }
}

/// Admits work, in the order of arrival.
#[derive(Debug)]
pub(crate) struct AdmissionQueue {
    permits: Semaphore,
    max_running: u64,
    max_wait: Duration,
    waiting: AtomicUsize,
    /// Moving mean of the duration of work, in microseconds.
    mean_duration_us: AtomicU64,
}

/// Counts waiting work until it is dropped, also when its request is cancelled.
struct WaitingWork<'a>(&'a AdmissionQueue);

/// The turn of admitted work, which ends when it is dropped, also when its request is cancelled.
#[derive(Debug)]
pub(crate) struct AdmissionTurn<'a> {
    queue: &'a AdmissionQueue,
    started_at: Instant,
    _permit: SemaphorePermit<'a>,
}

impl AdmissionQueue {
    /// Admits this much work at once; work waits at most `max_wait` for its turn.
    pub(crate) fn new(max_running: usize, max_wait: Duration) -> Self {
        let max_running = max_running.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(max_running),
            max_running: max_running as u64,
            max_wait,
            waiting: AtomicUsize::new(0),
            mean_duration_us: AtomicU64::new(INITIAL_DURATION_US),
        }
    }

    /// Runs a query when it is its turn.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(crate) async fn run<T>(&self, query: impl Future<Output = T>) -> Result<T, QueueFull> {
        let _turn = self.admit().await?;
        Ok(query.await)
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`QueueFull`]: at once if the work before it is expected to take longer than the maximum wait, otherwise after
    /// the maximum wait.
    pub(crate) async fn admit(&self) -> Result<AdmissionTurn<'_>, QueueFull> {
        let permit = if let Ok(permit) = self.permits.try_acquire() { permit } else { self.wait_for_turn().await? };
        Ok(AdmissionTurn { queue: self, started_at: Instant::now(), _permit: permit })
    }

    /// How much work is running.
    pub(crate) fn running(&self) -> u64 {
        self.max_running.saturating_sub(self.permits.available_permits() as u64)
    }

    async fn wait_for_turn(&self) -> Result<SemaphorePermit<'_>, QueueFull> {
        let work_before = self.waiting.fetch_add(1, Ordering::Relaxed) as u64;
        let _waiting = WaitingWork(self);
        let expected_wait = self.expected_wait(work_before);
        if expected_wait > self.max_wait {
            return Err(QueueFull::with_wait(expected_wait));
        }
        match timeout(self.max_wait, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(QueueFull::with_wait(self.max_wait)),
        }
    }

    /// The time until work starts that has this much work before it.
    fn expected_wait(&self, work_before: u64) -> Duration {
        let mean_us = self.mean_duration_us.load(Ordering::Relaxed);
        Duration::from_micros((work_before + 1).saturating_mul(mean_us) / self.max_running)
    }

    fn record_duration(&self, duration: Duration) {
        let latest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let moved = |mean: u64| Some(mean - mean / MEAN_WEIGHT + latest / MEAN_WEIGHT);
        // Never fails, because the closure always returns a value.
        let _previous = self.mean_duration_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }
}

impl Drop for WaitingWork<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for AdmissionTurn<'_> {
    fn drop(&mut self) {
        self.queue.record_duration(self.started_at.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn queries_wait_for_their_turn_in_order() {
        let queue = AdmissionQueue::new(1, Duration::from_mins(1));
        let order = std::sync::Mutex::new(vec![]);
        let query = |number: u32| {
            let order = &order;
            queue.run(async move {
                tokio::task::yield_now().await;
                order.lock().unwrap().push(number);
            })
        };
        let (first, second, third) = tokio::join!(query(1), query(2), query(3));
        assert_eq!((first, second, third), (Ok(()), Ok(()), Ok(())));
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_would_wait_too_long_is_refused_at_once_and_the_rest_is_answered() {
        let queue = Arc::new(AdmissionQueue::new(2, Duration::from_secs(10)));
        queue.mean_duration_us.store(4_000_000, Ordering::Relaxed);
        let mut running = vec![];
        for _ in 0..20 {
            let (finish, finished) = oneshot::channel::<()>();
            let own = Arc::clone(&queue);
            running.push((finish, tokio::spawn(async move { own.run(finished).await.map(drop) })));
            tokio::task::yield_now().await;
        }
        // Two run, and each of the others waits two seconds longer than the one before it.
        let mut outcomes = vec![];
        for (finish, query) in running {
            let _receiver_is_gone_if_refused = finish.send(());
            outcomes.push(query.await.unwrap());
        }
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!((outcomes.len() - refused, refused), (7, 13));
        assert!(outcomes.iter().take(7).all(Result::is_ok), "those that arrived first are answered: {outcomes:?}");
        assert_eq!(outcomes[7], Err(QueueFull { retry_after_s: 12 }));
    }

    #[tokio::test]
    async fn a_cancelled_query_leaves_its_turn_to_the_next() {
        let queue = AdmissionQueue::new(1, Duration::from_mins(1));
        {
            let running = queue.run(std::future::pending::<()>());
            let waiting = queue.run(std::future::pending::<()>());
            let cancelled = timeout(Duration::from_millis(1), async { tokio::join!(running, waiting) }).await;
            assert!(cancelled.is_err());
        }
        assert_eq!(queue.run(async { 7 }).await, Ok(7));
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_store_that_hangs_is_not_waited_for_without_end() {
        let queue = AdmissionQueue::new(1, Duration::from_millis(5));
        let hanging = queue.run(std::future::pending::<()>());
        let waiting = async {
            tokio::task::yield_now().await;
            queue.run(async {}).await
        };
        let outcome = tokio::select! {
            _ = hanging => None,
            outcome = waiting => Some(outcome),
        };
        assert_eq!(outcome, Some(Err(QueueFull { retry_after_s: 1 })));
    }
}
