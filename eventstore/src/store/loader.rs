//! Loading streams: all that wait at the same time are read by one statement.

use std::sync::Arc;

use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::sync::oneshot;

use super::{
    error::LoadError,
    lanes::{Job, Lanes, Limits, Load as Size, Room, Work},
    line::Line,
    turns::Stream,
};
use crate::postgres::answer;

const LOAD: &str = include_str!("load_streams.sql");

type Loaded = Result<Vec<PgRow>, LoadError>;

/// One stream to be loaded, and whoever waits for it.
pub(super) struct Load {
    stream: Stream,
    /// Whose snapshots may be used; empty for none.
    fingerprint: &'static str,
    loaded: oneshot::Sender<Loaded>,
    _room: Room,
}

impl Job for Load {
    fn load(&self) -> Size {
        Size { rows: 1, bytes: 0 }
    }
}

/// A row of the answer: a snapshot when it has no event type, which is then the first row, else an event.
pub(super) struct StreamRow<'r>(&'r PgRow);

impl<'r> StreamRow<'r> {
    pub(super) fn of(row: &'r PgRow) -> Self {
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
pub(super) struct Loader {
    lanes: Lanes<Loading>,
}

impl Loader {
    pub(super) fn new(pool: &PgPool, limits: Limits) -> Self {
        Self { lanes: Lanes::new(pool, limits, Loading) }
    }

    /// The newest snapshot of the stream that `fingerprint` can use, and the events after it.
    pub(super) async fn load(&self, stream: Stream, fingerprint: &'static str) -> Loaded {
        let room = self.lanes.room(0).await;
        let (loaded, answered) = oneshot::channel();
        self.lanes.push(Load { stream, fingerprint, loaded, _room: room });
        answered.await.unwrap_or(Err(LoadError::BrokeOff))
    }
}

struct Loading;

impl Work for Loading {
    type Job = Load;

    async fn run(&self, line: &mut Line, group: Vec<Load>) -> Vec<Load> {
        let mut answer = read(line, &group).await;
        if answer.as_ref().is_err_and(LoadError::is_lost_line) {
            // Reading twice harms nobody, and after a restart of the server the next connection works.
            answer = read(line, &group).await;
        }
        let answer = answer.and_then(|rows| by_stream(rows, group.len())).map_err(Arc::new);
        match answer {
            Ok(streams) => group.into_iter().zip(streams).for_each(|(load, rows)| tell(load, Ok(rows))),
            Err(error) => {
                for load in group {
                    tell(load, Err(LoadError::Unavailable(Arc::clone(&error))));
                }
            }
        }
        Vec::new()
    }
}

fn tell(load: Load, loaded: Loaded) {
    // A caller who has gone away does not want to know.
    let _gone = load.loaded.send(loaded);
}

async fn read(line: &mut Line, group: &[Load]) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query(LOAD)
        .bind(group.iter().map(|load| load.stream.aggregate_type).collect::<Vec<_>>())
        .bind(group.iter().map(|load| &*load.stream.aggregate_id).collect::<Vec<_>>())
        .bind(group.iter().map(|load| load.fingerprint).collect::<Vec<_>>());
    let rows = answer(query.fetch_all(line.connection().await?)).await;
    if rows.is_err() {
        line.hang_up();
    }
    rows
}

/// Deals the rows out to the streams that were asked for, by their place in the question.
fn by_stream(rows: Vec<PgRow>, streams: usize) -> Result<Vec<Vec<PgRow>>, sqlx::Error> {
    let mut dealt: Vec<Vec<PgRow>> = std::iter::repeat_with(Vec::new).take(streams).collect();
    for row in rows {
        let place: i64 = row.try_get(0)?;
        if let Some(stream) = usize::try_from(place - 1).ok().and_then(|place| dealt.get_mut(place)) {
            stream.push(row);
        }
    }
    Ok(dealt)
}
