//! Writes a worker's heartbeat, so that other processes can show its status: once a second while it changes.

use std::time::Duration;

use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::runtime::{
    ControlStore, StatusReader, WorkerHeartbeat, WorkerStatus, error::format_limited_chain, worker_metrics,
};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A status that has not changed is written again after this time, which is less than half of the time until a worker
/// without a heartbeat counts as dead.
const UNCHANGED_INTERVAL: Duration = Duration::from_secs(4);

/// The task that writes heartbeats.
pub(super) struct HeartbeatTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts to write heartbeats from `status`.
pub(super) fn spawn_heartbeat(control: &ControlStore, status: StatusReader) -> HeartbeatTask {
    let stop = CancellationToken::new();
    let task = tokio::spawn(send_heartbeats(control.clone(), status, stop.clone()));
    HeartbeatTask { stop, task }
}

impl HeartbeatTask {
    /// Stops the task, which deletes the worker's row.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "heartbeat task of a worker failed");
        }
    }
}

async fn send_heartbeats(control: ControlStore, status: StatusReader, stop: CancellationToken) {
    let (instance, host) = (Uuid::new_v4(), host_and_pid());
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written: Option<(WorkerStatus, Instant)> = None;
    loop {
        let is_stopping = tokio::select! {
            biased;
            () = stop.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let now = status.get();
        worker_metrics::set_worker_gauges(&now);
        let is_written =
            written.as_ref().is_some_and(|(status, at)| *status == now && at.elapsed() < UNCHANGED_INTERVAL);
        if is_written && !is_stopping {
            continue;
        }
        let written_at = Instant::now();
        let outcome = if is_stopping {
            control.delete_worker(instance, now.name, now.generation).await
        } else {
            let heartbeat = WorkerHeartbeat {
                instance,
                projection: now.name,
                generation: now.generation,
                host: &host,
                state: now.state.name(),
                partitions: now.partitions,
                applied: now.applied,
                lag_s: now.lag_s,
                last_error: now.last_error.as_deref(),
            };
            control.save_heartbeat(&heartbeat).await
        };
        if let Err(error) = &outcome {
            // If Postgres stays unavailable, the worker reports it as well.
            tracing::debug!(
                projection.name = now.name,
                error = format_limited_chain(error),
                "writing a heartbeat failed"
            );
        }
        if is_stopping {
            return;
        }
        written = outcome.is_ok().then_some((now, written_at));
    }
}

/// Host name and process id, as `<host>:<pid>`; the host name is empty where it cannot be read.
pub(in crate::runtime) fn host_and_pid() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", name.trim(), std::process::id())
}
