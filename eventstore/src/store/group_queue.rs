//! Work that arrives one by one and is done in groups: while one statement runs, the next ones gather.
//!
//! ```text
//! push ──▶ queue ──▶ lane 1: a group, its statement, its answers, the next group … ends when the queue is empty
//!                └─▶ lane 2: the same on another connection
//! ```
//!
//! A lane is a task that lives as long as there is work; nothing waits for a group to fill, so that a lone job starts
//! at once. What bounds the queue are the [`QueuePermit`]s that jobs carry.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{ConnectionFactory, DedicatedConnection};

/// Bytes of queued work, over all lanes: beyond them callers wait.
const MAX_QUEUED_KIB: u32 = 32 * 1024;

/// One piece of work.
pub(super) trait GroupJob: Send + 'static {
    /// How much of a group it takes.
    fn size(&self) -> JobSize;
}

/// Rows and bytes of a job or a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct JobSize {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// How a kind of work is done.
pub(super) trait GroupHandler: Send + Sync + 'static {
    type Job: GroupJob;

    /// Does all jobs of a group and answers each of them; gives back jobs that can be done now.
    fn run_group(
        &self,
        line: &mut DedicatedConnection,
        group: Vec<Self::Job>,
    ) -> impl Future<Output = Vec<Self::Job>> + Send;
}

/// How many lanes there are and what goes into a group. A job that is larger than that is a group of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) lanes: usize,
    pub(super) group_limit: JobSize,
}

/// A place in the queue, given back when dropped.
pub(super) type QueuePermit = Option<OwnedSemaphorePermit>;

/// The queue and its lanes.
pub(super) struct GroupQueue<W: GroupHandler> {
    shared: Arc<QueueInner<W>>,
}

struct QueueInner<W: GroupHandler> {
    handler: W,
    limits: QueueLimits,
    connections: ConnectionFactory,
    permits: Arc<Semaphore>,
    state: Mutex<QueueState<W::Job>>,
}

struct QueueState<J> {
    queue: VecDeque<J>,
    active_lanes: usize,
    idle_connections: Vec<DedicatedConnection>,
}

impl<W: GroupHandler> GroupQueue<W> {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits, work: W) -> Self {
        let state = QueueState { queue: VecDeque::new(), active_lanes: 0, idle_connections: Vec::new() };
        Self {
            shared: Arc::new(QueueInner {
                handler: work,
                limits,
                connections: ConnectionFactory::for_pool(pool),
                permits: Arc::new(Semaphore::new(MAX_QUEUED_KIB as usize)),
                state: Mutex::new(state),
            }),
        }
    }

    /// Waits until `bytes` more may be queued, in the order of asking.
    pub(super) async fn acquire_permit(&self, bytes: usize) -> QueuePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAX_QUEUED_KIB).min(MAX_QUEUED_KIB);
        // Nobody closes the semaphore; if somebody did, an unbounded queue would still work.
        Arc::clone(&self.shared.permits).acquire_many_owned(kib).await.ok()
    }

    /// Room for `bytes` if there is some now.
    pub(super) fn try_acquire_permit(&self, bytes: usize) -> QueuePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAX_QUEUED_KIB);
        Arc::clone(&self.shared.permits).try_acquire_many_owned(kib).ok()
    }

    /// Queues a job. Needs a runtime around it.
    pub(super) fn push(&self, job: W::Job) {
        let line = {
            let mut state = self.shared.lock_state();
            state.queue.push_back(job);
            if state.active_lanes >= self.shared.limits.lanes {
                return;
            }
            state.active_lanes += 1;
            state.idle_connections.pop().unwrap_or_else(|| self.shared.connections.new_connection())
        };
        tokio::spawn(run_lane(Arc::clone(&self.shared), line));
    }
}

async fn run_lane<W: GroupHandler>(shared: Arc<QueueInner<W>>, line: DedicatedConnection) {
    let mut running = ActiveLane { shared: &shared, connection: Some(line) };
    loop {
        // Whoever is ready to push does so first: the group grows, and nobody has waited for anything.
        tokio::task::yield_now().await;
        let Some((line, group)) = running.next_group() else { return };
        let next = shared.handler.run_group(line, group).await;
        shared.lock_state().queue.extend(next);
    }
}

/// Counts as running until it is dropped, however it ends.
struct ActiveLane<'a, W: GroupHandler> {
    shared: &'a QueueInner<W>,
    connection: Option<DedicatedConnection>,
}

impl<W: GroupHandler> ActiveLane<'_, W> {
    /// The next group; when there is none the lane has ended, and a job pushed from now on starts another one.
    fn next_group(&mut self) -> Option<(&mut DedicatedConnection, Vec<W::Job>)> {
        let mut state = self.shared.lock_state();
        let group = take_group(&mut state.queue, self.shared.limits.group_limit);
        if group.is_empty() {
            state.active_lanes -= 1;
            state.idle_connections.extend(self.connection.take());
            return None;
        }
        drop(state);
        self.connection.as_mut().map(|line| (line, group))
    }
}

impl<W: GroupHandler> Drop for ActiveLane<'_, W> {
    fn drop(&mut self) {
        // Still there only when the lane broke off.
        if self.connection.is_some() {
            self.shared.lock_state().active_lanes -= 1;
        }
    }
}

impl<W: GroupHandler> QueueInner<W> {
    fn lock_state(&self) -> MutexGuard<'_, QueueState<W::Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_group<J: GroupJob>(queue: &mut VecDeque<J>, limit: JobSize) -> Vec<J> {
    let mut sum = JobSize::default();
    let fitting = queue.iter().take_while(|job| {
        let load = job.size();
        let first = sum.rows == 0;
        sum = JobSize { rows: sum.rows + load.rows.max(1), bytes: sum.bytes + load.bytes };
        first || (sum.rows <= limit.rows && sum.bytes <= limit.bytes)
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
    fn a_group_ends_before_its_rows_or_its_bytes_are_too_many() {
        assert_eq!(group_lengths(&[(4, 1), (4, 1), (4, 1), (1, 90), (1, 20)]), [2, 2, 1]);
    }

    #[test]
    fn a_job_beyond_every_limit_is_a_group_of_its_own() {
        assert_eq!(group_lengths(&[(1, 1), (50, 1), (1, 5_000), (1, 1)]), [1, 1, 1, 1]);
    }
}
