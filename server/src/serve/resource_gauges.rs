//! Gauges of the limited resources of a process and of the task queue, measured periodically.

use std::time::Duration;

use api::app_context::AppContext;
use chrono::{DateTime, Utc};
use domain::{
    clock::{Clock, SystemClock},
    error_chain::format_error_chain,
    task::TaskKind,
};
use metrics::gauge;
use nix::sys::resource::{Resource, getrlimit};
use sqlx::PgPool;
use task_workers::{TaskBacklog, TaskQueue};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

const MEASURE_INTERVAL: Duration = Duration::from_secs(5);

/// The name of the pool of Postgres connections.
const POOL_NAME: &str = "postgres";

/// Size of a memory page in bytes on the machines that this program is built for; Linux counts in pages.
const PAGE_BYTES: u64 = 4_096;

/// Measures the resources of a process, and the queue of tasks where one process is enough.
pub(super) struct ResourceGauges {
    pool: PgPool,
    task_queue: Option<TaskQueue>,
    started_at: DateTime<Utc>,
}

impl ResourceGauges {
    /// Measures the pool and the process.
    pub(super) fn new(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), task_queue: None, started_at: SystemClock.now() }
    }

    /// Also measures the queue of tasks.
    pub(super) fn with_task_queue(self, app: &AppContext) -> Self {
        Self { task_queue: Some(app.task_queue.clone()), ..self }
    }

    /// Measures until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(MEASURE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    self.measure_pool();
                    self.measure_process();
                    measure_runtime();
                    self.measure_task_queue().await;
                }
            }
        }
    }

    fn measure_pool(&self) {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        let used = self.pool.size().saturating_sub(idle);
        for (state, connections) in [("idle", idle), ("used", used)] {
            gauge!(
                "db_client_connection_count",
                "db_client_connection_pool_name" => POOL_NAME,
                "db_client_connection_state" => state,
            )
            .set(connections);
        }
        gauge!("db_client_connection_max", "db_client_connection_pool_name" => POOL_NAME)
            .set(self.pool.options().get_max_connections());
    }

    /// Sets what Linux says of this process; elsewhere, nothing.
    fn measure_process(&self) {
        let started_s = self.started_at.signed_duration_since(DateTime::UNIX_EPOCH).as_seconds_f64();
        gauge!("process_start_time_seconds").set(started_s);
        if let Some(pages) = read_resident_pages() {
            gauge!("process_resident_memory_bytes").set(to_f64(pages.saturating_mul(PAGE_BYTES)));
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            gauge!("process_open_fds").set(to_f64(files.count() as u64));
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            gauge!("process_max_fds").set(to_f64(soft));
        }
    }

    async fn measure_task_queue(&self) {
        let Some(queue) = &self.task_queue else { return };
        match queue.load_backlog().await {
            Ok(backlog) => set_backlog(&backlog),
            Err(error) => tracing::debug!(reason = format_error_chain(&error), "queue of tasks not measured"),
        }
    }
}

/// Sets the gauges of all kinds: one without tasks has no row.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
fn set_backlog(backlog: &[TaskBacklog]) {
    for kind in TaskKind::ALL.iter().map(|kind| kind.name()) {
        let found = backlog.iter().find(|found| found.kind == kind);
        let count = |tasks: fn(&TaskBacklog) -> i64| found.map_or(0, tasks) as f64;
        for (state, tasks) in [
            ("waiting", count(|found| found.waiting)),
            ("claimed", count(|found| found.claimed)),
            ("delayed", count(|found| found.delayed)),
        ] {
            gauge!("medhub_task_queue_tasks", "kind" => kind, "state" => state).set(tasks);
        }
        gauge!("medhub_task_queue_oldest_seconds", "kind" => kind).set(found.map_or(0.0, |found| found.oldest_s));
    }
}

fn measure_runtime() {
    let runtime = Handle::current().metrics();
    gauge!("medhub_runtime_workers").set(to_f64(runtime.num_workers() as u64));
    gauge!("medhub_runtime_tasks").set(to_f64(runtime.num_alive_tasks() as u64));
    gauge!("medhub_runtime_queued_tasks").set(to_f64(runtime.global_queue_depth() as u64));
}

/// The pages of this process that are in RAM: the second number of the file.
fn read_resident_pages() -> Option<u64> {
    std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
