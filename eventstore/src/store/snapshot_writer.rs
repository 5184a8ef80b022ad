//! Writes snapshots in the background, best effort. An older snapshot never replaces a newer one of the same
//! fingerprint.

use domain::stream_id::StreamId;
use sqlx::PgPool;

use super::{
    connection::DedicatedConnection,
    group_queue::{GroupHandler, GroupJob, GroupQueue, JobSize, QueueLimits, QueuePermit},
};
use crate::postgres::with_append_timeout;

const SAVE_SNAPSHOTS: &str = include_str!("save_snapshots.sql");

/// The state of one aggregate after the event `last_sequence`, as JSON.
pub(super) struct StreamSnapshot {
    pub(super) stream: StreamId,
    pub(super) fingerprint: &'static str,
    pub(super) last_sequence: u64,
    pub(super) payload: String,
}

struct SnapshotHandler;

/// A snapshot with its queue permit.
struct QueuedSnapshot {
    snapshot: StreamSnapshot,
    _permit: QueuePermit,
}

impl GroupJob for QueuedSnapshot {
    fn size(&self) -> JobSize {
        JobSize { rows: 1, bytes: self.snapshot.payload.len() }
    }
}

pub(super) struct SnapshotWriter {
    queue: GroupQueue<SnapshotHandler>,
}

impl SnapshotWriter {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits) -> Self {
        Self { queue: GroupQueue::new(pool, limits, SnapshotHandler) }
    }

    /// Queues a snapshot, or drops it when the queue is full: the next load of the stream offers one again.
    pub(super) fn offer(&self, snapshot: StreamSnapshot) {
        let permit = self.queue.try_acquire_permit(snapshot.payload.len());
        if permit.is_some() {
            self.queue.push(QueuedSnapshot { snapshot, _permit: permit });
        }
    }
}

impl GroupHandler for SnapshotHandler {
    type Job = QueuedSnapshot;

    async fn run_group(&self, connection: &mut DedicatedConnection, group: Vec<QueuedSnapshot>) -> Vec<QueuedSnapshot> {
        if let Err(error) = save_group(connection, &group).await {
            connection.reset();
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, snapshots = group.len(), "saving snapshots failed; streams are loaded without them");
        }
        Vec::new()
    }
}

async fn save_group(connection: &mut DedicatedConnection, group: &[QueuedSnapshot]) -> Result<(), sqlx::Error> {
    let snapshots = || group.iter().map(|queued| &queued.snapshot);
    let query = sqlx::query(SAVE_SNAPSHOTS)
        .bind(snapshots().map(|snapshot| &*snapshot.stream.aggregate_type).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| &*snapshot.stream.aggregate_id).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.fingerprint).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.last_sequence.cast_signed()).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.payload.as_str()).collect::<Vec<_>>());
    with_append_timeout(query.execute(connection.ready_connection().await?)).await.map(drop)
}
