//! Sheds load: limits the requests that a process works on at once, and refuses the rest at once, the least important
//! first, so that those that are answered stay fast.
//!
//! ```text
//! batches ──▶ a quarter of the requests at most ──┐
//! queries ────────────────────────────────────────┴─▶ three quarters at most ──┐
//! commands ────────────────────────────────────────────────────────────────────┴─▶ all ──▶ work
//! ```
//!
//! Each limit is an admission queue. Operators, and the routes that report on the process, are never shed. Requests
//! that wait rather than compute are not counted either; they have other limits: `WebSocket`s, subscriptions, file
//! transfers, workers that wait for a task, and `/ingest`, which has a buffer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, counter, gauge};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    admission_queue::{AdmissionQueue, AdmissionTurn, QueueFull},
    config::HttpConfig,
};

/// The part of all requests that batches may have is one divided by this.
const BATCHES_DIVISOR: usize = 4;

/// How important a request is, beginning with the most important: what is shed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestPriority {
    /// Changes something: its user has entered it, and would have to enter it again.
    Command,
    /// Reads for a user who waits.
    Query,
    /// Reads much for a program, which can repeat it later.
    Batch,
}

impl RequestPriority {
    const ALL: [Self; 3] = [Self::Command, Self::Query, Self::Batch];

    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Query => "query",
            Self::Batch => "batch",
        }
    }
}

/// Admits requests by their priority. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub struct LoadShedder(Arc<ShedderState>);

struct ShedderState {
    all: AdmissionQueue,
    /// Queries and batches.
    reads: AdmissionQueue,
    batches: AdmissionQueue,
    limit: usize,
    max_wait: Duration,
    shed: AtomicU64,
    metrics: [RequestMetrics; 3],
}

/// The metrics of one priority. They are registered once, because the registry locks for each look-up.
struct RequestMetrics {
    running: Gauge,
    shed: Counter,
}

/// The load of a process, in `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProcessLoad {
    /// Requests that the process works on.
    pub running: u64,
    /// Most requests that it works on at once.
    pub limit: usize,
    /// Requests that were shed since the start.
    pub shed: u64,
}

/// The right to work on a request, which ends when it is dropped.
pub(crate) struct RequestPermit<'a> {
    running: &'a Gauge,
    _turns: [Option<AdmissionTurn<'a>>; 3],
}

impl LoadShedder {
    /// Creates a shedder with the limits of `config`. Call it after the recorder of metrics is installed.
    pub fn new(config: &HttpConfig) -> Self {
        let limit = config.max_running_requests.max(1);
        let max_wait = Duration::from_millis(config.max_queue_wait_ms);
        let queue = |max_running: usize| AdmissionQueue::new(max_running, max_wait);
        let metrics = RequestPriority::ALL.map(|priority| RequestMetrics {
            running: gauge!("medhub_requests_running", "priority" => priority.name()),
            shed: counter!("medhub_requests_shed_total", "priority" => priority.name()),
        });
        Self(Arc::new(ShedderState {
            all: queue(limit),
            reads: queue(config.max_running_queries()),
            batches: queue(limit.div_ceil(BATCHES_DIVISOR)),
            limit,
            max_wait,
            shed: AtomicU64::new(0),
            metrics,
        }))
    }

    /// Waits for the right to work on a request.
    ///
    /// # Errors
    /// [`QueueFull`] at once if the requests before it take longer than the maximum wait, or after the maximum wait.
    pub(crate) async fn admit(&self, priority: RequestPriority) -> Result<RequestPermit<'_>, QueueFull> {
        let state = &*self.0;
        let metrics = &state.metrics[priority as usize];
        // A request waits in up to three queues, but not longer than in one.
        match timeout(state.max_wait, state.take_turns(priority)).await {
            Ok(Ok(turns)) => {
                metrics.running.increment(1.0);
                Ok(RequestPermit { running: &metrics.running, _turns: turns })
            }
            refused => {
                metrics.shed.increment(1);
                state.shed.fetch_add(1, Ordering::Relaxed);
                match refused {
                    Ok(Err(full)) => Err(full),
                    Ok(Ok(_)) | Err(_) => Err(QueueFull::with_wait(state.max_wait)),
                }
            }
        }
    }

    /// The load now.
    pub fn load(&self) -> ProcessLoad {
        let state = &*self.0;
        ProcessLoad { running: state.all.running(), limit: state.limit, shed: state.shed.load(Ordering::Relaxed) }
    }
}

impl ShedderState {
    /// The turns in the queues of a priority; the narrowest queue first, so that work that waits there takes no turn in
    /// the others.
    async fn take_turns(&self, priority: RequestPriority) -> Result<[Option<AdmissionTurn<'_>>; 3], QueueFull> {
        let (mut batch, mut read) = (None, None);
        if priority == RequestPriority::Batch {
            batch = Some(self.batches.admit().await?);
        }
        if priority != RequestPriority::Command {
            read = Some(self.reads.admit().await?);
        }
        Ok([Some(self.all.admit().await?), read, batch])
    }
}

impl Drop for RequestPermit<'_> {
    fn drop(&mut self) {
        self.running.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    fn shedder(limit: usize, max_wait_ms: u64) -> LoadShedder {
        let limits =
            HttpConfig { max_running_requests: limit, max_queue_wait_ms: max_wait_ms, ..HttpConfig::default() };
        LoadShedder::new(&limits)
    }

    #[tokio::test]
    async fn less_important_requests_leave_room_for_more_important_ones() {
        let shedder = shedder(8, 0);
        let mut held = vec![];
        for (priority, expected) in
            [(RequestPriority::Batch, 2), (RequestPriority::Query, 4), (RequestPriority::Command, 2)]
        {
            let mut admitted = 0;
            while let Ok(permit) = shedder.admit(priority).await {
                held.push(permit);
                admitted += 1;
            }
            assert_eq!(admitted, expected, "{priority:?}");
        }
        assert_eq!(shedder.load(), ProcessLoad { running: 8, limit: 8, shed: 3 });
        held.clear();
        assert_eq!(shedder.load().running, 0);
        for _ in 0..8 {
            held.push(shedder.admit(RequestPriority::Command).await.unwrap());
        }
        assert!(shedder.admit(RequestPriority::Query).await.is_err(), "commands may have all of them");
    }

    #[tokio::test]
    async fn ten_times_the_limit_is_answered_up_to_the_limit_and_commands_before_queries() {
        const LIMIT: usize = 8;
        let shedder = shedder(LIMIT, 0);
        let (release, released) = watch::channel(false);
        let mut requests = vec![];
        for number in 0..10 * LIMIT {
            // Two are commands, and they come when queries have what queries may have.
            let is_command = number % 40 == 39;
            let priority = if is_command { RequestPriority::Command } else { RequestPriority::Query };
            let (shedder, mut released) = (shedder.clone(), released.clone());
            let request = tokio::spawn(async move {
                let permit = shedder.admit(priority).await;
                if permit.is_ok() {
                    released.wait_for(|released| *released).await.unwrap();
                }
                permit.is_ok()
            });
            requests.push((is_command, request));
            tokio::task::yield_now().await;
        }
        // Every request that is not admitted has ended by now or ends without the release.
        while usize::try_from(shedder.load().shed).unwrap() < 10 * LIMIT - LIMIT {
            tokio::task::yield_now().await;
        }
        release.send(true).unwrap();
        let (mut commands, mut queries) = (0, 0);
        for (is_command, request) in requests {
            let is_answered = usize::from(request.await.unwrap());
            *(if is_command { &mut commands } else { &mut queries }) += is_answered;
        }
        assert_eq!((commands, queries), (2, 6));
    }

    #[tokio::test]
    async fn a_refusal_says_when_to_come_back() {
        let shedder = shedder(1, 0);
        let _permit = shedder.admit(RequestPriority::Query).await.unwrap();
        assert_eq!(shedder.admit(RequestPriority::Command).await.err(), Some(QueueFull { retry_after_s: 1 }));
    }
}
