//! Collects jobs that arrive one by one into groups: while one statement runs, the jobs for the next one wait.
//!
//! ```text
//! push ──▶ queue ──▶ lane 1: a group, its statement, its results, the next group … ends when the queue is empty
//!                └─▶ lane 2: the same on another connection
//! ```
//!
//! A lane is a task that runs while there are jobs. It does not wait for a group to fill, so a single job starts at
//! once. The [`QueuePermit`]s of the jobs bound the queue.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{ConnectionFactory, DedicatedConnection};

/// Maximum size of queued jobs over all lanes, in KiB; beyond it callers wait.
const MAX_QUEUED_KIB: u32 = 32 * 1024;

/// One unit of work.
pub(super) trait GroupJob: Send + 'static {
    /// What the job counts against the limit of its group.
    fn size(&self) -> JobSize;
}

/// Rows and bytes of a job or a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct JobSize {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Processes the jobs of one queue.
pub(super) trait GroupHandler: Send + Sync + 'static {
    type Job: GroupJob;

    /// Processes all jobs of a group and sends each caller its result. Returns jobs that have become ready meanwhile,
    /// for the queue.
    fn run_group(
        &self,
        connection: &mut DedicatedConnection,
        group: Vec<Self::Job>,
    ) -> impl Future<Output = Vec<Self::Job>> + Send;
}

/// Number of lanes and limit of a group. A job that exceeds the limit is a group of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) lanes: usize,
    pub(super) group_limit: JobSize,
}

/// The right to queue a job, released on drop.
pub(super) type QueuePermit = Option<OwnedSemaphorePermit>;

/// A queue of jobs and its lanes.
pub(super) struct GroupQueue<H: GroupHandler> {
    shared: Arc<QueueInner<H>>,
}

struct QueueInner<H: GroupHandler> {
    handler: H,
    limits: QueueLimits,
    connections: ConnectionFactory,
    permits: Arc<Semaphore>,
    state: Mutex<QueueState<H::Job>>,
}

struct QueueState<J> {
    queue: VecDeque<J>,
    active_lanes: usize,
    idle_connections: Vec<DedicatedConnection>,
}

impl<H: GroupHandler> GroupQueue<H> {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits, handler: H) -> Self {
        let state = QueueState { queue: VecDeque::new(), active_lanes: 0, idle_connections: Vec::new() };
        Self {
            shared: Arc::new(QueueInner {
                handler,
                limits,
                connections: ConnectionFactory::for_pool(pool),
                permits: Arc::new(Semaphore::new(MAX_QUEUED_KIB as usize)),
                state: Mutex::new(state),
            }),
        }
    }

    /// Waits until `bytes` more may be queued; first come, first served.
    pub(super) async fn acquire_permit(&self, bytes: usize) -> QueuePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAX_QUEUED_KIB).min(MAX_QUEUED_KIB);
        // The semaphore is never closed; if it were, the queue would work without a bound.
        Arc::clone(&self.shared.permits).acquire_many_owned(kib).await.ok()
    }

    /// Returns a permit for `bytes` if it is available now.
    pub(super) fn try_acquire_permit(&self, bytes: usize) -> QueuePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAX_QUEUED_KIB);
        Arc::clone(&self.shared.permits).try_acquire_many_owned(kib).ok()
    }

    /// Queues a job. Must be called within a Tokio runtime.
    pub(super) fn push(&self, job: H::Job) {
        let connection = {
            let mut state = self.shared.lock_state();
            state.queue.push_back(job);
            if state.active_lanes >= self.shared.limits.lanes {
                return;
            }
            state.active_lanes += 1;
            state.idle_connections.pop().unwrap_or_else(|| self.shared.connections.new_connection())
        };
        tokio::spawn(run_lane(Arc::clone(&self.shared), connection));
    }
}

async fn run_lane<H: GroupHandler>(shared: Arc<QueueInner<H>>, connection: DedicatedConnection) {
    let mut lane = ActiveLane { shared: &shared, connection: Some(connection) };
    loop {
        // Lets tasks that are ready to push do so first: the group grows at no delay.
        tokio::task::yield_now().await;
        let Some((connection, group)) = lane.next_group() else { return };
        let next = shared.handler.run_group(connection, group).await;
        shared.lock_state().queue.extend(next);
    }
}

/// Counts as an active lane until the lane ends or its task panics.
struct ActiveLane<'a, H: GroupHandler> {
    shared: &'a QueueInner<H>,
    connection: Option<DedicatedConnection>,
}

impl<H: GroupHandler> ActiveLane<'_, H> {
    /// Returns the next group; `None` ends the lane, and a job that is pushed later starts another one.
    fn next_group(&mut self) -> Option<(&mut DedicatedConnection, Vec<H::Job>)> {
        let mut state = self.shared.lock_state();
        let group = take_group(&mut state.queue, self.shared.limits.group_limit);
        if group.is_empty() {
            state.active_lanes -= 1;
            state.idle_connections.extend(self.connection.take());
            return None;
        }
        drop(state);
        self.connection.as_mut().map(|connection| (connection, group))
    }
}

impl<H: GroupHandler> Drop for ActiveLane<'_, H> {
    fn drop(&mut self) {
        // Present only when the lane did not end through `next_group`.
        if self.connection.is_some() {
            self.shared.lock_state().active_lanes -= 1;
        }
    }
}

impl<H: GroupHandler> QueueInner<H> {
    fn lock_state(&self) -> MutexGuard<'_, QueueState<H::Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_group<J: GroupJob>(queue: &mut VecDeque<J>, limit: JobSize) -> Vec<J> {
    let mut sum = JobSize::default();
    let fitting = queue.iter().take_while(|job| {
        let size = job.size();
        let is_first = sum.rows == 0;
        sum = JobSize { rows: sum.rows + size.rows.max(1), bytes: sum.bytes + size.bytes };
        is_first || (sum.rows <= limit.rows && sum.bytes <= limit.bytes)
    });
    let count = fitting.count();
    queue.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl GroupJob for (usize, usize) {
        fn size(&self) -> JobSize {
            JobSize { rows: self.0, bytes: self.1 }
        }
    }

    fn group_lengths(jobs: &[(usize, usize)]) -> Vec<usize> {
        let mut queue: VecDeque<_> = jobs.iter().copied().collect();
        let limit = JobSize { rows: 10, bytes: 100 };
        std::iter::from_fn(|| Some(take_group(&mut queue, limit).len()).filter(|&len| len > 0)).collect()
    }

    #[test]
    fn a_group_ends_before_it_exceeds_the_limit_of_rows_or_bytes() {
        assert_eq!(group_lengths(&[(4, 1), (4, 1), (4, 1), (1, 90), (1, 20)]), [2, 2, 1]);
    }

    #[test]
    fn a_job_over_the_limit_is_a_group_of_its_own() {
        assert_eq!(group_lengths(&[(1, 1), (50, 1), (1, 5_000), (1, 1)]), [1, 1, 1, 1]);
    }
}
