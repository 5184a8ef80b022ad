//! Group commit: appends to different streams that wait at the same time are written by one statement.
//!
//! A statement succeeds or fails as a whole. When a single append of the group may be the cause of a failure, the
//! appends whose sequence is taken get a conflict, and the others are tried again, one by one where necessary.

use std::{collections::HashSet, sync::Arc};

use domain::stream_id::StreamId;
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{
    connection::DedicatedConnection,
    error::AppendError,
    group_queue::{GroupHandler, GroupJob, GroupQueue, JobSize, QueueLimits, QueuePermit},
    stream_queue::{StreamQueue, StreamTurn},
};
use crate::{
    append::{EventColumns, NewEventRow},
    postgres::with_append_timeout,
};

const FIND_CONFLICTS: &str = include_str!("find_conflicts.sql");

/// One event to append.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) sequence: u64,
    pub(super) event_type: String,
    pub(super) event_version: String,
    pub(super) payload: String,
    /// The JSON of its metadata; the events of a command share it.
    pub(super) metadata: Arc<str>,
}

fn count_bytes(events: &[PendingEvent]) -> usize {
    events.iter().map(|event| event.payload.len() + event.metadata.len()).sum()
}

type AppendResult = Result<(), AppendError>;

/// The events of one call, at least one, and the channel that returns the result to the caller.
pub(super) struct AppendRequest {
    events: Vec<PendingEvent>,
    result: oneshot::Sender<AppendResult>,
    _permit: QueuePermit,
}

/// An append that has the turn on its stream.
pub(super) struct ReadyAppend {
    turn: StreamTurn<AppendRequest>,
    pending: AppendRequest,
}

impl AppendRequest {
    fn first_sequence(&self) -> u64 {
        self.events.first().map_or(0, |event| event.sequence)
    }

    fn complete(self, result: AppendResult) {
        // The caller may have been cancelled.
        let _unreceived = self.result.send(result);
    }
}

impl GroupJob for ReadyAppend {
    fn size(&self) -> JobSize {
        JobSize { rows: self.pending.events.len(), bytes: count_bytes(&self.pending.events) }
    }
}

/// Appends the events of many commands by one statement.
pub(super) struct GroupCommit {
    streams: StreamQueue<AppendRequest>,
    queue: GroupQueue<AppendHandler>,
}

impl GroupCommit {
    pub(super) fn new(pool: &PgPool, limits: QueueLimits) -> Self {
        Self { streams: StreamQueue::default(), queue: GroupQueue::new(pool, limits, AppendHandler) }
    }

    /// Appends the events of one call, all or none, and waits for the result. Cancelling the call does not cancel the
    /// append.
    pub(super) async fn append(&self, stream: StreamId, events: Vec<PendingEvent>) -> AppendResult {
        let permit = self.queue.acquire_permit(count_bytes(&events)).await;
        let (result, receiver) = oneshot::channel();
        let pending = AppendRequest { events, result, _permit: permit };
        if let Some((turn, pending)) = self.streams.begin_or_wait(&stream, pending) {
            self.queue.push(ReadyAppend { turn, pending });
        }
        receiver.await.unwrap_or(Err(AppendError::TaskFailed))
    }
}

struct AppendHandler;

impl GroupHandler for AppendHandler {
    type Job = ReadyAppend;

    async fn run_group(&self, connection: &mut DedicatedConnection, mut group: Vec<ReadyAppend>) -> Vec<ReadyAppend> {
        // Every writer locks its streams in the same order, which excludes deadlocks between groups.
        group.sort_by(|one, other| one.turn.stream().cmp(other.turn.stream()));
        let mut next = Vec::new();
        match insert_group(connection, &group).await {
            Err(error) if group.len() > 1 && error.may_concern_one_member() => {
                append_separately(connection, group, &error, &mut next).await;
            }
            result => complete_appends(group, &result, &mut next),
        }
        next
    }
}

/// Determines the result of each append of a failed group.
async fn append_separately(
    connection: &mut DedicatedConnection,
    mut group: Vec<ReadyAppend>,
    error: &AppendError,
    next: &mut Vec<ReadyAppend>,
) {
    if matches!(error, AppendError::Conflict)
        && let Ok(conflicts) = find_conflicts(connection, &group).await
        && !conflicts.is_empty()
    {
        let (conflicting, others): (Vec<_>, Vec<_>) =
            group.into_iter().enumerate().partition(|(index, _)| conflicts.contains(index));
        complete_appends(conflicting.into_iter().map(|(_, append)| append), &Err(AppendError::Conflict), next);
        group = others.into_iter().map(|(_, append)| append).collect();
        match insert_group(connection, &group).await {
            Err(error) if error.may_concern_one_member() => {}
            result => return complete_appends(group, &result, next),
        }
    }
    for append in group {
        let result = insert_group(connection, std::slice::from_ref(&append)).await;
        complete_appends([append], &result, next);
    }
}

/// Appends a group in one statement.
async fn insert_group(connection: &mut DedicatedConnection, group: &[ReadyAppend]) -> AppendResult {
    if group.is_empty() {
        return Ok(());
    }
    let ready = connection.ready_connection().await.map_err(|error| AppendError::Unreachable(Arc::new(error)))?;
    let mut columns = EventColumns::with_capacity(group.iter().map(|append| append.pending.events.len()).sum());
    for ReadyAppend { turn, pending } in group {
        for event in &pending.events {
            columns.push(NewEventRow {
                aggregate_type: &turn.stream().aggregate_type,
                aggregate_id: &turn.stream().aggregate_id,
                sequence: event.sequence,
                event_type: &event.event_type,
                event_version: &event.event_version,
                payload: &event.payload,
                metadata: &event.metadata,
            });
        }
    }
    let result = with_append_timeout(columns.append(ready)).await.map_err(AppendError::from_statement_error);
    if result.as_ref().is_err_and(|error| !error.may_concern_one_member()) {
        connection.reset();
    }
    result
}

/// Returns the indexes of the appends whose first sequence is taken.
async fn find_conflicts(
    connection: &mut DedicatedConnection,
    group: &[ReadyAppend],
) -> Result<HashSet<usize>, sqlx::Error> {
    let streams = || group.iter().map(|append| append.turn.stream());
    let query = sqlx::query_scalar(FIND_CONFLICTS)
        .bind(streams().map(|stream| &*stream.aggregate_type).collect::<Vec<_>>())
        .bind(streams().map(|stream| &*stream.aggregate_id).collect::<Vec<_>>())
        .bind(group.iter().map(|append| append.pending.first_sequence().cast_signed()).collect::<Vec<_>>());
    let rows: Result<Vec<i64>, _> = with_append_timeout(query.fetch_all(connection.ready_connection().await?)).await;
    if rows.is_err() {
        connection.reset();
    }
    Ok(rows?.into_iter().filter_map(|row| usize::try_from(row - 1).ok()).collect())
}

/// Sends the result to the callers and passes each turn to the next append on the stream. When the events are recorded,
/// waiting appends that begin with a sequence of theirs get a conflict at once.
fn complete_appends(group: impl IntoIterator<Item = ReadyAppend>, result: &AppendResult, next: &mut Vec<ReadyAppend>) {
    for ReadyAppend { turn, pending } in group {
        let last = pending.events.last().map_or(0, |event| event.sequence);
        let (following, expired) = turn.pass_to_next(|waiting| result.is_ok() && waiting.first_sequence() <= last);
        pending.complete(result.clone());
        for append in expired {
            append.complete(Err(AppendError::Conflict));
        }
        next.extend(following.map(|(turn, pending)| ReadyAppend { turn, pending }));
    }
}
