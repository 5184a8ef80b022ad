//! Loads streams: one statement reads all streams that are requested at the same time.

use std::sync::Arc;

use domain::stream_id::StreamId;
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::sync::oneshot;

use super::{
    connection::DedicatedConnection,
    error::LoadError,
    group_queue::{GroupHandler, GroupJob, GroupQueue, JobSize, QueueLimits, QueuePermit},
};
use crate::postgres::with_append_timeout;

const LOAD_STREAMS: &str = include_str!("load_streams.sql");

type LoadResult = Result<Vec<PgRow>, LoadError>;

/// One stream to load, and the channel that returns the result to the caller.
pub(super) struct QueuedLoad {
    stream: StreamId,
    /// Fingerprint that a snapshot must have to be used; empty to use none.
    fingerprint: &'static str,
    result: oneshot::Sender<LoadResult>,
    _permit: QueuePermit,
}

impl GroupJob for QueuedLoad {
    fn size(&self) -> JobSize {
        JobSize { rows: 1, bytes: 0 }
    }
}

/// A row of a loaded stream: an event, or a snapshot, which has no event type and is always the first row.
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

/// Loads the streams of many commands by one statement.
pub(super) struct StreamLoader {
    queue: GroupQueue<LoadHandler>,
}

impl StreamLoader {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits) -> Self {
        Self { queue: GroupQueue::new(pool, limits, LoadHandler) }
    }

    /// Loads the snapshot of the stream, if it has that `fingerprint`, and the events after it.
    pub(super) async fn load_stream(&self, stream: StreamId, fingerprint: &'static str) -> LoadResult {
        let permit = self.queue.acquire_permit(0).await;
        let (result, receiver) = oneshot::channel();
        self.queue.push(QueuedLoad { stream, fingerprint, result, _permit: permit });
        receiver.await.unwrap_or(Err(LoadError::TaskFailed))
    }
}

struct LoadHandler;

impl GroupHandler for LoadHandler {
    type Job = QueuedLoad;

    async fn run_group(&self, connection: &mut DedicatedConnection, group: Vec<QueuedLoad>) -> Vec<QueuedLoad> {
        let mut rows = load_group(connection, &group).await;
        if rows.as_ref().is_err_and(LoadError::is_connection_lost) {
            // Reading is idempotent, and after a restart of the server a new connection works.
            rows = load_group(connection, &group).await;
        }
        let streams = rows.and_then(|rows| group_rows_by_stream(rows, group.len())).map_err(Arc::new);
        match streams {
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

fn complete_load(load: QueuedLoad, result: LoadResult) {
    // The caller may have been cancelled.
    let _unreceived = load.result.send(result);
}

async fn load_group(connection: &mut DedicatedConnection, group: &[QueuedLoad]) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query(LOAD_STREAMS)
        .bind(group.iter().map(|load| &*load.stream.aggregate_type).collect::<Vec<_>>())
        .bind(group.iter().map(|load| &*load.stream.aggregate_id).collect::<Vec<_>>())
        .bind(group.iter().map(|load| load.fingerprint).collect::<Vec<_>>());
    let rows = with_append_timeout(query.fetch_all(connection.ready_connection().await?)).await;
    if rows.is_err() {
        connection.reset();
    }
    rows
}

/// Groups the rows by the stream that they belong to, in the order of the request.
fn group_rows_by_stream(rows: Vec<PgRow>, stream_count: usize) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let mut grouped: Vec<Vec<PgRow>> = std::iter::repeat_with(Vec::new).take(stream_count).collect();
    for row in rows {
        let ordinality: i64 = row.try_get(0)?;
        if let Some(stream) = usize::try_from(ordinality - 1).ok().and_then(|index| grouped.get_mut(index)) {
            stream.push(row);
        }
    }
    Ok(grouped)
}
