//! Group commit: appends to different streams that wait at the same time become one statement.
//!
//! A group stands or falls as a whole, so that a failure which may be the fault of one member is looked into: those
//! whose place is taken get their conflict, the rest is appended again, if need be one by one.

use std::{collections::HashSet, sync::Arc};

use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{
    error::AppendError,
    lanes::{Job, Lanes, Limits, Load, Room, Work},
    line::Line,
    turns::{Stream, Turn, Turns},
};
use crate::{
    append::{Columns, NewRow},
    postgres::answer,
};

const TAKEN: &str = include_str!("taken.sql");

/// One event on its way into a stream.
#[derive(Debug)]
pub(super) struct NewEvent {
    pub(super) sequence: u64,
    pub(super) event_type: String,
    pub(super) event_version: String,
    pub(super) payload: String,
}

type Verdict = Result<(), AppendError>;

/// The events of one command and whoever waits for them. Never empty.
pub(super) struct Pending {
    events: Vec<NewEvent>,
    metadata: String,
    verdict: oneshot::Sender<Verdict>,
    _room: Room,
}

/// A command whose turn on its stream it is.
pub(super) struct Append {
    turn: Turn<Pending>,
    pending: Pending,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.payload.len() + self.metadata.len()).sum()
    }

    fn first(&self) -> u64 {
        self.events.first().map_or(0, |event| event.sequence)
    }

    fn tell(self, verdict: Verdict) {
        // A caller who has gone away does not want to know.
        let _gone = self.verdict.send(verdict);
    }
}

impl Job for Append {
    fn load(&self) -> Load {
        Load { rows: self.pending.events.len(), bytes: self.pending.bytes() }
    }
}

/// Appends events, many commands at a time.
pub(super) struct Appender {
    turns: Turns<Pending>,
    lanes: Lanes<Appending>,
}

impl Appender {
    pub(super) fn new(pool: &PgPool, limits: Limits) -> Self {
        Self { turns: Turns::default(), lanes: Lanes::new(pool, limits, Appending) }
    }

    /// Appends the events of one command, all or none, and waits for the verdict. The caller may go away meanwhile.
    pub(super) async fn append(&self, stream: Stream, events: Vec<NewEvent>, metadata: String) -> Verdict {
        let bytes = events.iter().map(|event| event.payload.len() + metadata.len()).sum();
        let room = self.lanes.room(bytes).await;
        let (verdict, answered) = oneshot::channel();
        let pending = Pending { events, metadata, verdict, _room: room };
        if let Some((turn, pending)) = self.turns.begin_or_wait(&stream, pending) {
            self.lanes.push(Append { turn, pending });
        }
        answered.await.unwrap_or(Err(AppendError::BrokeOff))
    }
}

struct Appending;

impl Work for Appending {
    type Job = Append;

    async fn run(&self, line: &mut Line, mut group: Vec<Append>) -> Vec<Append> {
        // Every writer takes its streams in the same order, so that two of them never wait for each other in a circle.
        group.sort_by(|one, other| one.turn.stream().cmp(other.turn.stream()));
        let mut next = Vec::new();
        match insert(line, &group).await {
            Err(error) if group.len() > 1 && error.may_be_of_one() => separate(line, group, &error, &mut next).await,
            verdict => settle(group, &verdict, &mut next),
        }
        next
    }
}

/// Gives each member of a failed group a verdict of its own.
async fn separate(line: &mut Line, mut group: Vec<Append>, error: &AppendError, next: &mut Vec<Append>) {
    if matches!(error, AppendError::Conflict)
        && let Ok(taken) = taken(line, &group).await
        && !taken.is_empty()
    {
        let (late, rest): (Vec<_>, Vec<_>) =
            group.into_iter().enumerate().partition(|(place, _)| taken.contains(place));
        settle(late.into_iter().map(|(_, append)| append), &Err(AppendError::Conflict), next);
        group = rest.into_iter().map(|(_, append)| append).collect();
        match insert(line, &group).await {
            Err(error) if error.may_be_of_one() => {}
            verdict => return settle(group, &verdict, next),
        }
    }
    for append in group {
        let verdict = insert(line, std::slice::from_ref(&append)).await;
        settle([append], &verdict, next);
    }
}

/// Appends a group in one statement.
async fn insert(line: &mut Line, group: &[Append]) -> Verdict {
    if group.is_empty() {
        return Ok(());
    }
    let connection = line.connection().await.map_err(|error| AppendError::Unreachable(Arc::new(error)))?;
    let mut columns = Columns::with_capacity(group.iter().map(|append| append.pending.events.len()).sum());
    for Append { turn, pending } in group {
        for event in &pending.events {
            columns.push(NewRow {
                aggregate_type: turn.stream().aggregate_type,
                aggregate_id: &turn.stream().aggregate_id,
                sequence: event.sequence,
                event_type: &event.event_type,
                event_version: &event.event_version,
                payload: &event.payload,
                metadata: &pending.metadata,
            });
        }
    }
    let verdict = answer(columns.append(connection)).await.map_err(AppendError::of_statement);
    if verdict.as_ref().is_err_and(|error| !error.may_be_of_one()) {
        line.hang_up();
    }
    verdict
}

/// Which members of a group find their place in the stream taken.
async fn taken(line: &mut Line, group: &[Append]) -> Result<HashSet<usize>, sqlx::Error> {
    let streams = || group.iter().map(|append| append.turn.stream());
    let query = sqlx::query_scalar(TAKEN)
        .bind(streams().map(|stream| stream.aggregate_type).collect::<Vec<_>>())
        .bind(streams().map(|stream| &*stream.aggregate_id).collect::<Vec<_>>())
        .bind(group.iter().map(|append| append.pending.first().cast_signed()).collect::<Vec<_>>());
    let places: Result<Vec<i64>, _> = answer(query.fetch_all(line.connection().await?)).await;
    if places.is_err() {
        line.hang_up();
    }
    Ok(places?.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect())
}

/// Tells the verdict and passes the turns on. Once events are on record, those who wait with an equal place in the
/// stream have lost it for certain.
fn settle(group: impl IntoIterator<Item = Append>, verdict: &Verdict, next: &mut Vec<Append>) {
    for Append { turn, pending } in group {
        let last = pending.events.last().map_or(0, |event| event.sequence);
        let (following, late) = turn.pass(|waiting| verdict.is_ok() && waiting.first() <= last);
        pending.tell(verdict.clone());
        for late in late {
            late.tell(Err(AppendError::Conflict));
        }
        next.extend(following.map(|(turn, pending)| Append { turn, pending }));
    }
}
