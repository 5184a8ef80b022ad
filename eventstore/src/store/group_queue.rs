//! Collects jobs that arrive one by one into groups: while one statement runs, the jobs for the next one wait.
//!
//! ```text
//! push ──▶ queue ──▶ lane 1: a group, its statement, its results, the next group … ends when the queue is empty
//!                └─▶ lane 2: the same on another connection, while many jobs wait or a statement is slow
//! ```
//!
//! A lane is a task that runs while there are jobs. It does not wait for a group to fill, so a single job starts at
//! once. Further lanes join only for large groups, because most of the cost of a small group is that of its statement
//! (ADR 52). The [`QueuePermit`]s of the jobs bound the queue.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::connection::{ConnectionFactory, DedicatedConnection};

/// Maximum size of queued jobs over all lanes, in KiB; beyond it callers wait.
const MAX_QUEUED_KIB: u32 = 32 * 1024;

/// Number of waiting jobs at which another lane takes them, although a lane is active.
const JOBS_OF_ANOTHER_LANE: usize = 32;

/// A statement that takes longer than this waits for the disk, for a lock or for a long stream. Until it ends, its lane
/// does not count, and another lane takes even a few waiting jobs.
const SLOW_STATEMENT: Duration = Duration::from_millis(5);

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

/// Number of lanes and limit of a group. A job that exceeds the limit forms a group by itself.
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
    /// Number of active lanes with a slow statement.
    slow_lanes: usize,
    idle_connections: Vec<DedicatedConnection>,
}

impl<H: GroupHandler> GroupQueue<H> {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits, handler: H) -> Self {
        let state = QueueState { queue: VecDeque::new(), active_lanes: 0, slow_lanes: 0, idle_connections: Vec::new() };
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
        self.shared.lock_state().queue.push_back(job);
        open_lane(&self.shared);
    }
}

/// Starts a lane if there are jobs for one more.
fn open_lane<H: GroupHandler>(shared: &Arc<QueueInner<H>>) {
    let connection = {
        let mut state = shared.lock_state();
        if !state.has_jobs_for_lane(state.active_lanes) || state.active_lanes >= shared.limits.lanes {
            return;
        }
        state.active_lanes += 1;
        state.idle_connections.pop().unwrap_or_else(|| shared.connections.new_connection())
    };
    tokio::spawn(run_lane(Arc::clone(shared), connection));
}

/// Boxed, because a lane may start another one.
fn run_lane<H: GroupHandler>(shared: Arc<QueueInner<H>>, connection: DedicatedConnection) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut lane = ActiveLane { shared: &shared, has_ended: false, is_slow: false };
        let mut connection = Some(connection);
        loop {
            // Lets tasks that are ready to push do so first: the group grows at no delay.
            tokio::task::yield_now().await;
            let Some((mut used, group)) = connection.take().and_then(|connection| lane.next_group(connection)) else {
                return;
            };
            let next = {
                let mut running = pin!(shared.handler.run_group(&mut used, group));
                tokio::select! {
                    biased;
                    next = &mut running => next,
                    () = tokio::time::sleep(SLOW_STATEMENT) => {
                        lane.set_slow(true);
                        open_lane(&shared);
                        let next = running.await;
                        lane.set_slow(false);
                        next
                    }
                }
            };
            connection = Some(used);
            shared.lock_state().queue.extend(next);
        }
    })
}

/// Counts as an active lane until the lane ends or its task panics.
struct ActiveLane<'a, H: GroupHandler> {
    shared: &'a Arc<QueueInner<H>>,
    has_ended: bool,
    is_slow: bool,
}

impl<H: GroupHandler> ActiveLane<'_, H> {
    /// Returns the next group with the lane's connection. `None` ends the lane: no job waits, or only few, for another
    /// lane.
    fn next_group(&mut self, connection: DedicatedConnection) -> Option<(DedicatedConnection, Vec<H::Job>)> {
        let mut state = self.shared.lock_state();
        let others = state.active_lanes - 1;
        if state.has_jobs_for_lane(others) {
            return Some((connection, take_group(&mut state.queue, self.shared.limits.group_limit)));
        }
        state.active_lanes -= 1;
        state.idle_connections.push(connection);
        self.has_ended = true;
        None
    }

    fn set_slow(&mut self, is_slow: bool) {
        if self.is_slow != is_slow {
            self.is_slow = is_slow;
            let mut state = self.shared.lock_state();
            state.slow_lanes = if is_slow { state.slow_lanes + 1 } else { state.slow_lanes - 1 };
        }
    }
}

impl<H: GroupHandler> Drop for ActiveLane<'_, H> {
    fn drop(&mut self) {
        self.set_slow(false);
        if !self.has_ended {
            self.shared.lock_state().active_lanes -= 1;
            // The jobs that wait have relied on this lane. There is no runtime when a program ends.
            if Handle::try_current().is_ok() {
                open_lane(self.shared);
            }
        }
    }
}

impl<J> QueueState<J> {
    /// Whether enough jobs wait for another lane in addition to `active_lanes`. Lanes with a slow statement do not
    /// count.
    fn has_jobs_for_lane(&self, active_lanes: usize) -> bool {
        let needed = if active_lanes > self.slow_lanes { JOBS_OF_ANOTHER_LANE } else { 1 };
        self.queue.len() >= needed
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
    use tokio::sync::mpsc;

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

    /// Reports the number of jobs of each group when it starts, and ends it when there is a permit.
    struct GatedHandler {
        started: mpsc::UnboundedSender<usize>,
        permits: Arc<Semaphore>,
    }

    impl GroupHandler for GatedHandler {
        type Job = (usize, usize);

        async fn run_group(&self, _: &mut DedicatedConnection, group: Vec<Self::Job>) -> Vec<Self::Job> {
            self.started.send(group.len()).unwrap();
            self.permits.acquire().await.unwrap().forget();
            Vec::new()
        }
    }

    /// A queue, the sizes of its groups, and the permits that end them.
    fn gated_queue(lanes: usize) -> (GroupQueue<GatedHandler>, mpsc::UnboundedReceiver<usize>, Arc<Semaphore>) {
        let (started, groups) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(0));
        let limits = QueueLimits { lanes, group_limit: JobSize { rows: 1_000, bytes: 1_000 } };
        let pool = PgPool::connect_lazy("postgres://127.0.0.1/never-connected").unwrap();
        (GroupQueue::new(&pool, limits, GatedHandler { started, permits: Arc::clone(&permits) }), groups, permits)
    }

    #[tokio::test]
    async fn another_lane_takes_many_waiting_jobs() {
        let (queue, mut groups, permits) = gated_queue(2);
        queue.push((1, 1));
        assert_eq!(groups.recv().await, Some(1));
        // Nothing else runs meanwhile: the second lane starts with the last job.
        for _ in 0..JOBS_OF_ANOTHER_LANE {
            assert!(!queue.shared.lock_state().has_jobs_for_lane(1));
            queue.push((1, 1));
        }
        assert_eq!(groups.recv().await, Some(JOBS_OF_ANOTHER_LANE));
        queue.push((1, 1));
        permits.add_permits(3);
        assert_eq!(groups.recv().await, Some(1), "the lane that ends last takes the rest");
    }

    #[tokio::test]
    async fn a_slow_statement_does_not_delay_the_next_job() {
        let (queue, mut groups, permits) = gated_queue(2);
        for _ in 0..2 {
            queue.push((1, 1));
            assert_eq!(groups.recv().await, Some(1));
        }
        queue.push((1, 1));
        permits.add_permits(1);
        assert_eq!(groups.recv().await, Some(1), "no more than two at once");
        permits.add_permits(2);
        while queue.shared.lock_state().active_lanes > 0 {
            tokio::task::yield_now().await;
        }
        let state = queue.shared.lock_state();
        assert_eq!((state.slow_lanes, state.idle_connections.len()), (0, 2));
    }

    #[tokio::test]
    async fn jobs_that_wait_for_a_lane_that_panics_are_taken_by_another_one() {
        let (queue, mut groups, permits) = gated_queue(1);
        queue.push((1, 1));
        assert_eq!(groups.recv().await, Some(1));
        queue.push((1, 1));
        queue.push((1, 1));
        permits.close();
        assert_eq!(groups.recv().await, Some(2));
    }
}
