//! Loading streams: all that wait at the same time are read by one statement.

use std::sync::Arc;

use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::sync::oneshot;

use super::{
    connection::DedicatedConnection,
    error::LoadError,
    group_queue::{GroupHandler, GroupJob, GroupQueue, JobSize as Size, QueueLimits, QueuePermit},
    stream_queue::StreamId,
};
use crate::postgres::with_append_timeout;

const LOAD_STREAMS: &str = include_str!("load_streams.sql");

type LoadResult = Result<Vec<PgRow>, LoadError>;

/// One stream to be loaded, and whoever waits for it.
pub(super) struct QueuedLoad {
    stream: StreamId,
    /// Whose snapshots may be used; empty for none.
    fingerprint: &'static str,
    result: oneshot::Sender<LoadResult>,
    _permit: QueuePermit,
}

impl GroupJob for QueuedLoad {
    fn size(&self) -> Size {
        Size { rows: 1, bytes: 0 }
    }
}

/// A row of the answer: a snapshot when it has no event type, which is then the first row, else an event.
pub(super) struct StreamRow<'r>(&'r PgRow);

impl<'r> StreamRow<'r> {
    pub(super) fn new(row: &'r PgRow) -> Self {
        Self(row)
    }

    pub(super) fn sequence(&self) -> Result<u64, sqlx::Error> {
        self.0.try_get::<i64, _>(1).map(i64::unsigned_abs)
    }

    pub(super) fn event_type(&self) -> Result<Option<&'r str>, sqlx::Error> {
        self.0.try_get(2)
    }

    pub(super) fn event_version(&self) -> Result<&'r str, sqlx::Error> {
        self.0.try_get(3)
    }

    pub(super) fn payload(&self) -> Result<&'r str, sqlx::Error> {
        self.0.try_get(4)
    }

    pub(super) fn position(&self) -> Result<u64, sqlx::Error> {
        self.0.try_get::<i64, _>(5).map(i64::unsigned_abs)
    }
}

/// Loads streams, many commands at a time.
pub(super) struct StreamLoader {
    queue: GroupQueue<LoadHandler>,
}

impl StreamLoader {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits) -> Self {
        Self { queue: GroupQueue::new(pool, limits, LoadHandler) }
    }

    /// The newest snapshot of the stream that `fingerprint` can use, and the events after it.
    pub(super) async fn load_stream(&self, stream: StreamId, fingerprint: &'static str) -> LoadResult {
        let room = self.queue.acquire_permit(0).await;
        let (loaded, answered) = oneshot::channel();
        self.queue.push(QueuedLoad { stream, fingerprint, result: loaded, _permit: room });
        answered.await.unwrap_or(Err(LoadError::TaskFailed))
    }
}

struct LoadHandler;

impl GroupHandler for LoadHandler {
    type Job = QueuedLoad;

    async fn run_group(&self, line: &mut DedicatedConnection, group: Vec<QueuedLoad>) -> Vec<QueuedLoad> {
        let mut answer = load_group(line, &group).await;
        if answer.as_ref().is_err_and(LoadError::is_connection_lost) {
            // Reading twice harms nobody, and after a restart of the server the next connection works.
            answer = load_group(line, &group).await;
        }
        let answer = answer.and_then(|rows| group_rows_by_stream(rows, group.len())).map_err(Arc::new);
        match answer {
            Ok(streams) => group.into_iter().zip(streams).for_each(|(load, rows)| complete_load(load, Ok(rows))),
            Err(error) => {
                for load in group {
                    complete_load(load, Err(LoadError::Unavailable(Arc::clone(&error))));
                }
            }
        }
        Vec::new()
    }
}

fn complete_load(load: QueuedLoad, loaded: LoadResult) {
    // A caller who has gone away does not want to know.
    let _gone = load.result.send(loaded);
}

async fn load_group(line: &mut DedicatedConnection, group: &[QueuedLoad]) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query(LOAD_STREAMS)
        .bind(group.iter().map(|load| load.stream.aggregate_type).collect::<Vec<_>>())
        .bind(group.iter().map(|load| &*load.stream.aggregate_id).collect::<Vec<_>>())
        .bind(group.iter().map(|load| load.fingerprint).collect::<Vec<_>>());
    let rows = with_append_timeout(query.fetch_all(line.ready_connection().await?)).await;
    if rows.is_err() {
        line.reset();
    }
    rows
}

/// Deals the rows out to the streams that were asked for, by their place in the question.
fn group_rows_by_stream(rows: Vec<PgRow>, streams: usize) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let mut dealt: Vec<Vec<PgRow>> = std::iter::repeat_with(Vec::new).take(streams).collect();
    for row in rows {
        let place: i64 = row.try_get(0)?;
        if let Some(stream) = usize::try_from(place - 1).ok().and_then(|place| dealt.get_mut(place)) {
            stream.push(row);
        }
    }
    Ok(dealt)
}
