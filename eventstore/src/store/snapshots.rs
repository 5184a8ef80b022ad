//! Writing snapshots beside everything else: best effort, in the background, never older over newer.

use sqlx::PgPool;

use super::{
    lanes::{Job, Lanes, Limits, Load, Room, Work},
    line::Line,
    turns::Stream,
};
use crate::postgres::answer;

const SAVE: &str = include_str!("save_snapshots.sql");

/// The state of one stream after its event `last_sequence`, as JSON.
pub(super) struct Snapshot {
    pub(super) stream: Stream,
    pub(super) fingerprint: &'static str,
    pub(super) last_sequence: u64,
    pub(super) payload: String,
}

struct Saving;

/// A snapshot and its place in the queue.
struct Queued {
    snapshot: Snapshot,
    _room: Room,
}

impl Job for Queued {
    fn load(&self) -> Load {
        Load { rows: 1, bytes: self.snapshot.payload.len() }
    }
}

/// Saves snapshots in the background.
pub(super) struct Snapshots {
    lanes: Lanes<Saving>,
}

impl Snapshots {
    pub(super) fn new(pool: &PgPool, limits: Limits) -> Self {
        Self { lanes: Lanes::new(pool, Limits { lanes: 1, ..limits }, Saving) }
    }

    /// Saves a snapshot some time soon, or not at all when too many wait: then the next load offers it again.
    pub(super) fn offer(&self, snapshot: Snapshot) {
        let room = self.lanes.room_now(snapshot.payload.len());
        if room.is_some() {
            self.lanes.push(Queued { snapshot, _room: room });
        }
    }
}

impl Work for Saving {
    type Job = Queued;

    async fn run(&self, line: &mut Line, group: Vec<Queued>) -> Vec<Queued> {
        if let Err(error) = save(line, &group).await {
            line.hang_up();
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, snapshots = group.len(), "saving snapshots failed; streams are loaded in full");
        }
        Vec::new()
    }
}

async fn save(line: &mut Line, group: &[Queued]) -> Result<(), sqlx::Error> {
    let snapshots = || group.iter().map(|queued| &queued.snapshot);
    let query = sqlx::query(SAVE)
        .bind(snapshots().map(|snapshot| snapshot.stream.aggregate_type).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| &*snapshot.stream.aggregate_id).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.fingerprint).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.last_sequence.cast_signed()).collect::<Vec<_>>())
        .bind(snapshots().map(|snapshot| snapshot.payload.as_str()).collect::<Vec<_>>());
    answer(query.execute(line.connection().await?)).await.map(drop)
}
