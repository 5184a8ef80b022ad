//! Writes batches of changes to streams and figures.

use std::collections::BTreeMap;

use redis::{RedisResult, Value};

use super::{
    OpportunityViews, ViewChange,
    errors::{InvalidStoredState, classify_error, generation_lost},
    figure_deltas::{FigureDeltas, FigureKey},
    generation_keys::MARKER,
    queries::{RawViewState, parse_state},
    state_transition::{StateTransition, VersionedState, fold_changes},
    view_state::StreamKind,
};
use crate::runtime::ProjectionError;

/// The script that writes streams and figures atomically.
const APPLY: &str = include_str!("apply.lua");

/// Attempts to write a batch while other workers change the same streams.
const ATTEMPTS: usize = 10;

/// The events of one stream in a batch.
pub(super) struct StreamBatch<'a> {
    stream: StreamKind,
    key: String,
    changes: Vec<&'a ViewChange>,
}

/// A state transition of a stream with its serialized new state, ready to be written.
struct PreparedWrite<'a> {
    work: StreamBatch<'a>,
    step: StateTransition,
    text: String,
}

impl OpportunityViews {
    /// A batch by streams, in the order of their first events.
    pub(super) fn group_by_stream<'a>(&self, changes: &'a [ViewChange]) -> Vec<StreamBatch<'a>> {
        let mut streams = BTreeMap::<(StreamKind, &str), Vec<&ViewChange>>::new();
        for change in changes {
            streams.entry((StreamKind::from_change(change), &change.id)).or_default().push(change);
        }
        let work = |((stream, id), changes)| StreamBatch { stream, key: self.stream_key(stream, id), changes };
        streams.into_iter().map(work).collect()
    }

    /// Applies the events of several streams. A refused stream does not prevent the others from being written.
    pub(super) async fn apply_streams(&self, mut pending: Vec<StreamBatch<'_>>) -> Result<(), ProjectionError> {
        let mut refusal = None;
        for attempt in 0..ATTEMPTS {
            let (mut ready, unread) = if attempt == 0 { self.prepare_from_cache(pending)? } else { (vec![], pending) };
            ready.extend(self.prepare_from_redis(unread, &mut refusal).await?);
            // The streams whose version another writer has changed meanwhile remain.
            pending = self.write_prepared(ready, &mut refusal).await?;
            if pending.is_empty() {
                return refusal.map_or(Ok(()), Err);
            }
        }
        Err(ProjectionError::unavailable("another writer keeps moving the same views"))
    }

    /// Advances a stream's version past its next event, which is skipped.
    pub(super) async fn skip_sequence(
        &self,
        stream: StreamKind,
        id: &str,
        sequence: u64,
    ) -> Result<(), ProjectionError> {
        let work = StreamBatch { stream, key: self.stream_key(stream, id), changes: vec![] };
        let (mut ready, mut refusal) = (vec![], None);
        for (work, stored) in self.load_states(vec![work]).await? {
            let VersionedState { version: from, state } = stored?;
            if from + 1 == sequence {
                let to = VersionedState { version: sequence, state };
                ready.push(PreparedWrite::new(work, StateTransition { from, to, deltas: FigureDeltas::default() })?);
            }
        }
        self.write_prepared(ready, &mut refusal).await?;
        refusal.map_or(Ok(()), Err)
    }

    /// Prepares transitions from the cached state, or from the initial state for a stream's first event. They are
    /// optimistic: the script compares versions. Streams for which this finds nothing to do, or missing events, are
    /// returned unread, because only the stored state can confirm that.
    fn prepare_from_cache<'a>(
        &self,
        pending: Vec<StreamBatch<'a>>,
    ) -> Result<(Vec<PreparedWrite<'a>>, Vec<StreamBatch<'a>>), ProjectionError> {
        let (mut ready, mut unread) = (vec![], vec![]);
        for work in pending {
            let begins = work.changes.first().is_some_and(|change| change.sequence == 1);
            let guess = self.cache.take(&work.key).or_else(|| begins.then(|| VersionedState::new(work.stream)));
            match guess.map(|guess| fold_changes(guess, &work.changes)) {
                Some(Ok(Some(step))) => ready.push(PreparedWrite::new(work, step)?),
                Some(Ok(None) | Err(_)) | None => unread.push(work),
            }
        }
        Ok((ready, unread))
    }

    async fn prepare_from_redis<'a>(
        &self,
        pending: Vec<StreamBatch<'a>>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<PreparedWrite<'a>>, ProjectionError> {
        let mut ready = vec![];
        for (work, stored) in self.load_states(pending).await? {
            match stored.and_then(|stored| fold_changes(stored, &work.changes).map_err(ProjectionError::poison)) {
                Ok(Some(step)) => ready.push(PreparedWrite::new(work, step)?),
                Ok(None) => {}
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        Ok(ready)
    }

    async fn load_states<'a>(
        &self,
        pending: Vec<StreamBatch<'a>>,
    ) -> Result<Vec<(StreamBatch<'a>, Result<VersionedState, ProjectionError>)>, ProjectionError> {
        if pending.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for work in &pending {
            pipeline.hmget(&work.key, &["version", "state"]);
        }
        // Checked last, so that it also covers the reads before it: otherwise a server that lost its data would look
        // like one with missing events.
        pipeline.exists(self.key(MARKER));
        let classify = |error| classify_error(error, self.generation);
        let mut answers: Vec<RedisResult<Value>> =
            self.send_with_retry(pipeline.ignore_errors()).await.map_err(classify)?;
        if answers.pop().unwrap_or(Ok(Value::Nil)).map_err(classify)? != Value::Int(1) {
            return Err(generation_lost(self.generation));
        }
        let mut stored = Vec::with_capacity(pending.len());
        for (work, answer) in pending.into_iter().zip(answers) {
            let answer = answer.and_then(|value| Ok(redis::from_redis_value::<RawViewState>(value)?));
            let read = match answer.map_err(classify) {
                Ok(text) => parse_state(work.stream, &work.key, text).map_err(ProjectionError::refused),
                Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                Err(error @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => Err(error),
            };
            stored.push((work, read));
        }
        Ok(stored)
    }

    /// Writes transitions together; returns the streams whose stored version differs from the transition's start.
    async fn write_prepared<'a>(
        &self,
        mut ready: Vec<PreparedWrite<'a>>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<StreamBatch<'a>>, ProjectionError> {
        let mut overtaken = vec![];
        // Each round is the last one, or removes a transition that prevents the others from being written.
        while !ready.is_empty() {
            let mut answers = self.run_apply_script(&ready).await?.into_iter();
            if answers.next() == Some(Value::Int(1)) {
                for PreparedWrite { work, step, text } in ready {
                    self.cache.put(work.key, step.to, text.len());
                }
                break;
            }
            let mut left = Vec::with_capacity(ready.len());
            for (step, answer) in ready.into_iter().zip(answers) {
                if answer == Value::Int(1) {
                    left.push(step);
                } else if answer == Value::Int(0) {
                    overtaken.push(step.work);
                } else {
                    let reason = redis::from_redis_value(answer).unwrap_or_default();
                    refusal.get_or_insert(ProjectionError::refused(InvalidStoredState { key: step.work.key, reason }));
                }
            }
            ready = left;
        }
        Ok(overtaken)
    }

    /// Runs the script; returns whether all transitions were written, followed by the result of each.
    async fn run_apply_script(&self, ready: &[PreparedWrite<'_>]) -> Result<Vec<Value>, ProjectionError> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors().add_command(self.apply_command(ready));
        let classify = |error| classify_error(error, self.generation);
        let answer: Vec<RedisResult<Vec<Value>>> = self.send_with_retry(&pipeline).await.map_err(classify)?;
        let answers = answer.into_iter().next().unwrap_or_else(|| Ok(vec![])).map_err(classify)?;
        let (all, each) = answers.split_first().unwrap_or((&Value::Nil, &[]));
        let stuck = *all != Value::Int(1) && each.iter().all(|answer| *answer == Value::Int(1));
        if each.len() != ready.len() || stuck {
            return Err(ProjectionError::unavailable("an answer that does not fit the question"));
        }
        Ok(answers)
    }

    /// The call of the script; `apply.lua` documents its keys and arguments. Sends the script's text each time: it is
    /// small beside the data, and no round trip is needed to find out whether the server has it.
    fn apply_command(&self, ready: &[PreparedWrite<'_>]) -> redis::Cmd {
        let mut sums = BTreeMap::<&FigureKey, BTreeMap<&str, i64>>::new();
        for (target, field, delta) in ready.iter().flat_map(|ready| ready.step.deltas.iter()) {
            *sums.entry(target).or_default().entry(field).or_default() += delta;
        }
        sums.retain(|_, fields| {
            fields.retain(|_, sum| *sum != 0);
            !fields.is_empty()
        });
        let mut call = redis::cmd("EVAL");
        call.arg(APPLY).arg(1 + ready.len() + sums.len()).arg(self.key(MARKER));
        for PreparedWrite { work, .. } in ready {
            call.arg(&work.key);
        }
        for target in sums.keys() {
            call.arg(self.key(&target.redis_key()));
        }
        call.arg(ready.len()).arg(sums.len());
        for PreparedWrite { work, step, text } in ready {
            let seconds = match work.stream {
                StreamKind::Visit => self.lifetime.visit_ttl_seconds(),
                StreamKind::Opportunity | StreamKind::Watchlist => 0,
            };
            call.arg(step.from).arg(step.to.version).arg(text).arg(seconds);
        }
        for (target, fields) in &sums {
            let (kind, end) = match target {
                FigureKey::Counters => ("c", 0),
                FigureKey::Engagement(_) => ("e", 0),
                FigureKey::Leaderboard(_, None) => ("z", 0),
                FigureKey::Leaderboard(_, Some(day)) => ("z", self.lifetime.leaderboard_expiry(*day)),
            };
            call.arg(kind).arg(end).arg(fields.len());
            for (field, sum) in fields {
                call.arg(field).arg(sum);
            }
        }
        call
    }
}

impl<'a> PreparedWrite<'a> {
    fn new(work: StreamBatch<'a>, step: StateTransition) -> Result<Self, ProjectionError> {
        let text = step.to.state.to_json().map_err(ProjectionError::poison)?;
        Ok(Self { work, step, text })
    }
}
