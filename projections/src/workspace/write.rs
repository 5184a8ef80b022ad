//! Writing what batches of events change.

use std::collections::{BTreeSet, HashMap};

use domain::envelope::RawRecorded;
use redis::{RedisError, RedisResult, Value};

use super::{
    WorkspaceChange,
    kept::Folding,
    kind::{Group, Kind},
    list::ListCursor,
    store::{MARKER, StoredText, Workspace},
};
use crate::{
    runtime::{Generation, ProjectionError},
    views::unavailable,
};

/// Moves one stream.
const APPLY: &str = include_str!("apply.lua");

/// How often a batch is folded anew because another worker was faster.
const ATTEMPTS: usize = 10;

/// Streams that are read or written in one round trip.
const PER_ROUND_TRIP: usize = 200;

/// The server no longer has what was prepared.
#[derive(Debug, thiserror::Error)]
#[error("redis lost generation {generation} of the workspace; `medhub rebuild workspace` makes it anew")]
struct Lost {
    generation: Generation,
}

/// Events that should come before the next one are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "{stream} stands at version {stored}, but the next event has sequence {next}: events in between are missing, or its \
     key in Redis was lost; `medhub rebuild workspace` makes it anew"
)]
struct Gap {
    stream: String,
    stored: u64,
    next: u64,
}

/// The events of one stream in a batch.
struct Work<'a> {
    kind: &'static Kind,
    key: String,
    events: Vec<&'a RawRecorded>,
}

/// What is to be written for one stream.
struct Step<'a> {
    work: Work<'a>,
    call: redis::Cmd,
}

impl Workspace {
    pub(super) async fn write(&self, changes: &[WorkspaceChange]) -> Result<(), ProjectionError> {
        let mut refusal = None;
        let mut rest = self.work(changes);
        while !rest.is_empty() {
            let some = rest.split_off(rest.len().saturating_sub(PER_ROUND_TRIP));
            self.write_some(some, &mut refusal).await?;
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Moves a stream's version on without its next event.
    pub(super) async fn skip(&self, kind: &'static Kind, event: &RawRecorded) -> Result<(), ProjectionError> {
        let work = Work { kind, key: self.stream_key(kind.name, &event.aggregate_id), events: vec![event] };
        for (work, stored) in self.stored(vec![work]).await? {
            let mut folding = stored?;
            if folding.version() + 1 != event.sequence {
                continue;
            }
            let before = (folding.version(), folding.groups());
            folding.skip(event);
            let step = self.step(work, before, folding.as_ref())?;
            self.moved(&[step]).await?;
        }
        Ok(())
    }

    /// A batch by streams.
    fn work<'a>(&self, changes: &'a [WorkspaceChange]) -> Vec<Work<'a>> {
        let mut places = HashMap::new();
        let mut work: Vec<Work<'a>> = vec![];
        for WorkspaceChange { kind, event } in changes {
            let key = self.stream_key(kind.name, &event.aggregate_id);
            match places.get(&key) {
                None => {
                    places.insert(key.clone(), work.len());
                    work.push(Work { kind, key, events: vec![event] });
                }
                Some(place) => work.get_mut(*place).into_iter().for_each(|known| known.events.push(event)),
            }
        }
        work
    }

    async fn write_some(
        &self,
        mut pending: Vec<Work<'_>>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<(), ProjectionError> {
        for _ in 0..ATTEMPTS {
            let mut steps = vec![];
            for (work, stored) in self.stored(pending).await? {
                match stored.and_then(|folding| self.folded(work, folding)) {
                    Ok(Some(step)) => steps.push(step),
                    Ok(None) => {}
                    Err(error) => {
                        refusal.get_or_insert(error);
                    }
                }
            }
            let answers = self.moved(&steps).await?;
            pending = vec![];
            for (step, answer) in steps.into_iter().zip(answers) {
                match answer {
                    Ok(true) => {}
                    Ok(false) => pending.push(step.work),
                    Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                    Err(error @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                        refusal.get_or_insert(error);
                    }
                }
            }
            if pending.is_empty() {
                return Ok(());
            }
        }
        Err(ProjectionError::unavailable("another writer keeps moving the same streams"))
    }

    /// Folds in what is new; `None` where all of it is known.
    fn folded<'a>(&self, work: Work<'a>, mut folding: Box<dyn Folding>) -> Result<Option<Step<'a>>, ProjectionError> {
        let before = (folding.version(), folding.groups());
        for event in &work.events {
            let stored = folding.version();
            if event.sequence <= stored {
                continue;
            }
            if event.sequence != stored + 1 {
                let gap = Gap { stream: event.aggregate_id.clone(), stored, next: event.sequence };
                return Err(ProjectionError::poison(gap));
            }
            folding.take(event)?;
        }
        if folding.version() == before.0 { Ok(None) } else { self.step(work, before, folding.as_ref()).map(Some) }
    }

    /// The script with its keys and arguments; it says itself what they are.
    fn step<'a>(
        &self,
        work: Work<'a>,
        (from, left): (u64, Vec<Group>),
        folding: &dyn Folding,
    ) -> Result<Step<'a>, ProjectionError> {
        let Some(event) = work.events.first() else {
            return Err(ProjectionError::poison("a step without events"));
        };
        let now: BTreeSet<_> = folding.groups().into_iter().collect();
        let before: BTreeSet<_> = left.into_iter().collect();
        let list = |group: &Group| self.list_key(work.kind.name, &event.tenant_id, group);
        let leaves: Vec<_> = before.difference(&now).map(list).collect();
        let enters: Vec<_> = now.difference(&before).map(list).collect();
        let member = ListCursor::new(folding.since(), local_id(event)).to_string();
        let text = folding.text().map_err(ProjectionError::poison)?;
        let mut call = redis::cmd("EVAL");
        call.arg(APPLY).arg(2 + leaves.len() + enters.len()).arg(self.key(MARKER)).arg(&work.key);
        call.arg(&leaves).arg(&enters);
        call.arg(from).arg(folding.version()).arg(text).arg(member).arg(leaves.len());
        Ok(Step { work, call })
    }

    /// What the server holds of these streams.
    async fn stored<'a>(
        &self,
        pending: Vec<Work<'a>>,
    ) -> Result<Vec<(Work<'a>, Result<Box<dyn Folding>, ProjectionError>)>, ProjectionError> {
        let mut pipeline = redis::pipe();
        for work in &pending {
            pipeline.hmget(&work.key, &["version", "state"]);
        }
        let answers: Vec<RedisResult<Value>> =
            self.send(pipeline.ignore_errors()).await.map_err(|error| self.failed(error))?;
        let mut stored = Vec::with_capacity(pending.len());
        for (work, answer) in pending.into_iter().zip(answers) {
            let answer = answer.and_then(|value| Ok(redis::from_redis_value::<StoredText>(value)?));
            let folding = match answer.map_err(|error| self.failed(error)) {
                Ok((version, text)) => {
                    (work.kind.stored)(version.unwrap_or_default(), text.as_deref()).map_err(ProjectionError::refused)
                }
                Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                Err(error @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => Err(error),
            };
            stored.push((work, folding));
        }
        Ok(stored)
    }

    /// Writes; tells for each step whether it moved.
    async fn moved(&self, steps: &[Step<'_>]) -> Result<Vec<Result<bool, ProjectionError>>, ProjectionError> {
        if steps.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for step in steps {
            pipeline.add_command(step.call.clone());
        }
        let answers: Vec<RedisResult<bool>> =
            self.send(pipeline.ignore_errors()).await.map_err(|error| self.failed(error))?;
        Ok(answers.into_iter().map(|answer| answer.map_err(|error| self.failed(error))).collect())
    }

    /// Whose fault it is: that of the one key that a change is about, or the server's state, which concerns all changes.
    fn failed(&self, error: RedisError) -> ProjectionError {
        match error.code() {
            Some("NOGENERATION") => ProjectionError::unavailable(Lost { generation: self.generation }),
            Some("WRONGTYPE" | "SHAREDKEY") => ProjectionError::refused(error),
            _ => ProjectionError::unavailable(unavailable(error)),
        }
    }
}

/// A thing's id within its tenant.
pub(crate) fn local_id(event: &RawRecorded) -> &str {
    let rest = event.aggregate_id.strip_prefix(event.tenant_id.as_str());
    rest.and_then(|rest| rest.strip_prefix(':')).unwrap_or(&event.aggregate_id)
}
