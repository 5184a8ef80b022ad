//! Work that arrives one by one and is done in groups: while one statement runs, the next ones gather.
//!
//! ```text
//! push ──▶ queue ──▶ lane 1: a group, its statement, its answers, the next group … ends when the queue is empty
//!                └─▶ lane 2: the same on another connection
//! ```
//!
//! A lane is a task that lives as long as there is work; nothing waits for a group to fill, so that a lone job starts
//! at once. What bounds the queue are the [`Room`]s that jobs carry.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::line::{Exchange, Line};

/// Bytes of queued work, over all lanes: beyond them callers wait.
const QUEUE_KIB: u32 = 32 * 1024;

/// One piece of work.
pub(super) trait Job: Send + 'static {
    /// How much of a group it takes.
    fn load(&self) -> Load;
}

/// Rows and bytes of a job or a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// How a kind of work is done.
pub(super) trait Work: Send + Sync + 'static {
    type Job: Job;

    /// Does all jobs of a group and answers each of them; gives back jobs that can be done now.
    fn run(&self, line: &mut Line, group: Vec<Self::Job>) -> impl Future<Output = Vec<Self::Job>> + Send;
}

/// How many lanes there are and what goes into a group. A job that is larger than that is a group of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) lanes: usize,
    pub(super) group: Load,
}

/// A place in the queue, given back when dropped.
pub(super) type Room = Option<OwnedSemaphorePermit>;

/// The queue and its lanes.
pub(super) struct Lanes<W: Work> {
    shared: Arc<Shared<W>>,
}

struct Shared<W: Work> {
    work: W,
    limits: Limits,
    exchange: Exchange,
    room: Arc<Semaphore>,
    state: Mutex<State<W::Job>>,
}

struct State<J> {
    queue: VecDeque<J>,
    running: usize,
    idle: Vec<Line>,
}

impl<W: Work> Lanes<W> {
    pub(super) fn new(pool: &PgPool, limits: Limits, work: W) -> Self {
        let state = State { queue: VecDeque::new(), running: 0, idle: Vec::new() };
        Self {
            shared: Arc::new(Shared {
                work,
                limits,
                exchange: Exchange::beside(pool),
                room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
                state: Mutex::new(state),
            }),
        }
    }

    /// Waits until `bytes` more may be queued, in the order of asking.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(QUEUE_KIB).min(QUEUE_KIB);
        // Nobody closes the semaphore; if somebody did, an unbounded queue would still work.
        Arc::clone(&self.shared.room).acquire_many_owned(kib).await.ok()
    }

    /// Room for `bytes` if there is some now.
    pub(super) fn room_now(&self, bytes: usize) -> Room {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(QUEUE_KIB);
        Arc::clone(&self.shared.room).try_acquire_many_owned(kib).ok()
    }

    /// Queues a job. Needs a runtime around it.
    pub(super) fn push(&self, job: W::Job) {
        let line = {
            let mut state = self.shared.lock();
            state.queue.push_back(job);
            if state.running >= self.shared.limits.lanes {
                return;
            }
            state.running += 1;
            state.idle.pop().unwrap_or_else(|| self.shared.exchange.line())
        };
        tokio::spawn(work_off(Arc::clone(&self.shared), line));
    }
}

async fn work_off<W: Work>(shared: Arc<Shared<W>>, line: Line) {
    let mut running = Lane { shared: &shared, line: Some(line) };
    loop {
        // Whoever is ready to push does so first: the group grows, and nobody has waited for anything.
        tokio::task::yield_now().await;
        let Some((line, group)) = running.next() else { return };
        let next = shared.work.run(line, group).await;
        shared.lock().queue.extend(next);
    }
}

/// Counts as running until it is dropped, however it ends.
struct Lane<'a, W: Work> {
    shared: &'a Shared<W>,
    line: Option<Line>,
}

impl<W: Work> Lane<'_, W> {
    /// The next group; when there is none the lane has ended, and a job pushed from now on starts another one.
    fn next(&mut self) -> Option<(&mut Line, Vec<W::Job>)> {
        let mut state = self.shared.lock();
        let group = taken(&mut state.queue, self.shared.limits.group);
        if group.is_empty() {
            state.running -= 1;
            state.idle.extend(self.line.take());
            return None;
        }
        drop(state);
        self.line.as_mut().map(|line| (line, group))
    }
}

impl<W: Work> Drop for Lane<'_, W> {
    fn drop(&mut self) {
        // Still there only when the lane broke off.
        if self.line.is_some() {
            self.shared.lock().running -= 1;
        }
    }
}

impl<W: Work> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W::Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken<J: Job>(queue: &mut VecDeque<J>, limit: Load) -> Vec<J> {
    let mut sum = Load::default();
    let fitting = queue.iter().take_while(|job| {
        let load = job.load();
        let first = sum.rows == 0;
        sum = Load { rows: sum.rows + load.rows.max(1), bytes: sum.bytes + load.bytes };
        first || (sum.rows <= limit.rows && sum.bytes <= limit.bytes)
    });
    let count = fitting.count();
    queue.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Job for (usize, usize) {
        fn load(&self) -> Load {
            Load { rows: self.0, bytes: self.1 }
        }
    }

    fn groups(jobs: &[(usize, usize)]) -> Vec<usize> {
        let mut queue: VecDeque<_> = jobs.iter().copied().collect();
        let limit = Load { rows: 10, bytes: 100 };
        std::iter::from_fn(|| Some(taken(&mut queue, limit).len()).filter(|&len| len > 0)).collect()
    }

    #[test]
    fn a_group_ends_before_its_rows_or_its_bytes_are_too_many() {
        assert_eq!(groups(&[(4, 1), (4, 1), (4, 1), (1, 90), (1, 20)]), [2, 2, 1]);
    }

    #[test]
    fn a_job_beyond_every_limit_is_a_group_of_its_own() {
        assert_eq!(groups(&[(1, 1), (50, 1), (1, 5_000), (1, 1)]), [1, 1, 1, 1]);
    }
}
