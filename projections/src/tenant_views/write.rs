//! Writes batches of changes to streams and their lists.

use std::collections::{BTreeSet, HashMap};

use domain::envelope::RawEnvelope;
use redis::{RedisError, RedisResult, Value};

use super::{
    TenantViewChange,
    aggregate_list::ListCursor,
    queries::{MARKER, RawAggregateState, TenantViews},
    stored_aggregate::AggregateFold,
    tenant_aggregate::{AggregateDescriptor, ListGroup},
};
use crate::{
    opportunity_views::unavailable_error,
    runtime::{Generation, ProjectionError},
};

/// The script that writes one stream and its list entries atomically.
const APPLY: &str = include_str!("apply.lua");

/// Attempts to write a batch while other workers change the same streams.
const ATTEMPTS: usize = 10;

/// Streams that are read or written in one round trip.
const PER_ROUND_TRIP: usize = 200;

/// The server has lost the prepared generation.
#[derive(Debug, thiserror::Error)]
#[error("redis lost generation {generation} of the workspace; `medhub rebuild workspace` makes it anew")]
struct TenantGenerationLost {
    generation: Generation,
}

/// Events between the stored version and the next event are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "{stream} stands at version {stored}, but the next event has sequence {next}: events in between are missing, or its \
     key in Redis was lost; `medhub rebuild workspace` makes it anew"
)]
struct AggregateSequenceGap {
    stream: String,
    stored: u64,
    next: u64,
}

/// The events of one stream in a batch.
struct AggregateBatch<'a> {
    kind: &'static AggregateDescriptor,
    key: String,
    events: Vec<&'a RawEnvelope>,
}

/// The write of one stream.
struct PendingWrite<'a> {
    work: AggregateBatch<'a>,
    call: redis::Cmd,
}

impl TenantViews {
    pub(super) async fn write_changes(&self, changes: &[TenantViewChange]) -> Result<(), ProjectionError> {
        let mut refusal = None;
        let mut rest = self.group_by_stream(changes);
        while !rest.is_empty() {
            let some = rest.split_off(rest.len().saturating_sub(PER_ROUND_TRIP));
            self.write_streams(some, &mut refusal).await?;
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Advances a stream's version past its next event, which is skipped.
    pub(super) async fn skip_sequence(
        &self,
        kind: &'static AggregateDescriptor,
        event: &RawEnvelope,
    ) -> Result<(), ProjectionError> {
        let work = AggregateBatch { kind, key: self.stream_key(kind.name, &event.aggregate_id), events: vec![event] };
        for (work, stored) in self.load_folds(vec![work]).await? {
            let mut folding = stored?;
            if folding.version() + 1 != event.sequence {
                continue;
            }
            let before = (folding.version(), folding.groups());
            folding.skip_event(event);
            let step = self.prepare_write(work, before, folding.as_ref())?;
            self.run_apply_scripts(&[step]).await?;
        }
        Ok(())
    }

    /// A batch by streams.
    fn group_by_stream<'a>(&self, changes: &'a [TenantViewChange]) -> Vec<AggregateBatch<'a>> {
        let mut places = HashMap::new();
        let mut work: Vec<AggregateBatch<'a>> = vec![];
        for TenantViewChange { kind, event } in changes {
            let key = self.stream_key(kind.name, &event.aggregate_id);
            match places.get(&key) {
                None => {
                    places.insert(key.clone(), work.len());
                    work.push(AggregateBatch { kind, key, events: vec![event] });
                }
                Some(place) => work.get_mut(*place).into_iter().for_each(|known| known.events.push(event)),
            }
        }
        work
    }

    async fn write_streams(
        &self,
        mut pending: Vec<AggregateBatch<'_>>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<(), ProjectionError> {
        for _ in 0..ATTEMPTS {
            let mut steps = vec![];
            for (work, stored) in self.load_folds(pending).await? {
                match stored.and_then(|folding| self.fold_events(work, folding)) {
                    Ok(Some(step)) => steps.push(step),
                    Ok(None) => {}
                    Err(error) => {
                        refusal.get_or_insert(error);
                    }
                }
            }
            let answers = self.run_apply_scripts(&steps).await?;
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

    /// Folds the events that are newer than the stored version; `None` when there are none.
    fn fold_events<'a>(
        &self,
        work: AggregateBatch<'a>,
        mut folding: Box<dyn AggregateFold>,
    ) -> Result<Option<PendingWrite<'a>>, ProjectionError> {
        let before = (folding.version(), folding.groups());
        for event in &work.events {
            let stored = folding.version();
            if event.sequence <= stored {
                continue;
            }
            if event.sequence != stored + 1 {
                let gap = AggregateSequenceGap { stream: event.aggregate_id.clone(), stored, next: event.sequence };
                return Err(ProjectionError::poison(gap));
            }
            folding.apply_event(event)?;
        }
        if folding.version() == before.0 {
            Ok(None)
        } else {
            self.prepare_write(work, before, folding.as_ref()).map(Some)
        }
    }

    /// The call of the script; `apply.lua` documents its keys and arguments.
    fn prepare_write<'a>(
        &self,
        work: AggregateBatch<'a>,
        (from, left): (u64, Vec<ListGroup>),
        folding: &dyn AggregateFold,
    ) -> Result<PendingWrite<'a>, ProjectionError> {
        let Some(event) = work.events.first() else {
            return Err(ProjectionError::poison("a step without events"));
        };
        let now: BTreeSet<_> = folding.groups().into_iter().collect();
        let before: BTreeSet<_> = left.into_iter().collect();
        let list = |group: &ListGroup| self.list_key(work.kind.name, &event.tenant_id, group);
        let leaves: Vec<_> = before.difference(&now).map(list).collect();
        let enters: Vec<_> = now.difference(&before).map(list).collect();
        let member = ListCursor::new(folding.created_at_millis(), local_id(event)).to_string();
        let text = folding.to_json().map_err(ProjectionError::poison)?;
        let mut call = redis::cmd("EVAL");
        call.arg(APPLY).arg(2 + leaves.len() + enters.len()).arg(self.key(MARKER)).arg(&work.key);
        call.arg(&leaves).arg(&enters);
        call.arg(from).arg(folding.version()).arg(text).arg(member).arg(leaves.len());
        Ok(PendingWrite { work, call })
    }

    /// Loads the stored states of these streams.
    async fn load_folds<'a>(
        &self,
        pending: Vec<AggregateBatch<'a>>,
    ) -> Result<Vec<(AggregateBatch<'a>, Result<Box<dyn AggregateFold>, ProjectionError>)>, ProjectionError> {
        let mut pipeline = redis::pipe();
        for work in &pending {
            pipeline.hmget(&work.key, &["version", "state"]);
        }
        let answers: Vec<RedisResult<Value>> =
            self.send_with_retry(pipeline.ignore_errors()).await.map_err(|error| self.classify_error(error))?;
        let mut stored = Vec::with_capacity(pending.len());
        for (work, answer) in pending.into_iter().zip(answers) {
            let answer = answer.and_then(|value| Ok(redis::from_redis_value::<RawAggregateState>(value)?));
            let folding = match answer.map_err(|error| self.classify_error(error)) {
                Ok((version, text)) => {
                    (work.kind.restore)(version.unwrap_or_default(), text.as_deref()).map_err(ProjectionError::refused)
                }
                Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                Err(error @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => Err(error),
            };
            stored.push((work, folding));
        }
        Ok(stored)
    }

    /// Runs the scripts; returns for each whether it wrote its stream.
    async fn run_apply_scripts(
        &self,
        steps: &[PendingWrite<'_>],
    ) -> Result<Vec<Result<bool, ProjectionError>>, ProjectionError> {
        if steps.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for step in steps {
            pipeline.add_command(step.call.clone());
        }
        let answers: Vec<RedisResult<bool>> =
            self.send_with_retry(pipeline.ignore_errors()).await.map_err(|error| self.classify_error(error))?;
        Ok(answers.into_iter().map(|answer| answer.map_err(|error| self.classify_error(error))).collect())
    }

    /// Classifies an error: caused by the key of one change, or by the state of the server, which affects all changes.
    fn classify_error(&self, error: RedisError) -> ProjectionError {
        match error.code() {
            Some("NOGENERATION") => ProjectionError::unavailable(TenantGenerationLost { generation: self.generation }),
            Some("WRONGTYPE" | "SHAREDKEY") => ProjectionError::refused(error),
            _ => ProjectionError::unavailable(unavailable_error(error)),
        }
    }
}

/// The aggregate's id within its tenant.
pub(crate) fn local_id(event: &RawEnvelope) -> &str {
    let rest = event.aggregate_id.strip_prefix(event.tenant_id.as_str());
    rest.and_then(|rest| rest.strip_prefix(':')).unwrap_or(&event.aggregate_id)
}
