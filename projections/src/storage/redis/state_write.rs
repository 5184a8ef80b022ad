//! Writes folded states: one script call for each tag, all of them in one round trip.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use redis::Value;

use super::{
    errors::InvalidStoredState,
    figure_delta::{FigureDelta, FigureTarget},
    script_call::{ArgumentsSize, LoadedScript, RedisScript, ScriptCall},
    state_batch::{StateBatch, StateTransition},
    state_key::StateKey,
    versioned_state_store::{FoldedBatch, VersionedStateStore},
};
use crate::runtime::ProjectionError;

/// The script that writes states, figures and lists atomically.
static APPLY: RedisScript = RedisScript::acknowledged(include_str!("apply.lua"));

/// The length of nearly all arguments but the texts of states.
const ARGUMENT_BYTES: usize = 24;

/// The write of one state.
struct PendingWrite<S> {
    /// Index of the stream's batch.
    batch: usize,
    key: StateKey,
    transition: StateTransition<S>,
}

impl<S: Send> VersionedStateStore<S> {
    /// Writes transitions; returns the batches with a state whose stored version is not the one that its transition
    /// builds on.
    pub(super) async fn write<B: StateBatch<State = S>>(
        &self,
        folded: Vec<FoldedBatch<B>>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<B>, ProjectionError> {
        // Most batches have one transition.
        let (mut batches, mut writes) = (Vec::with_capacity(folded.len()), Vec::with_capacity(folded.len()));
        for (index, (batch, transitions)) in folded.into_iter().enumerate() {
            let write = |transition: StateTransition<S>| {
                let key = batch.keys().get(transition.index)?.clone();
                Some(PendingWrite { batch: index, key, transition })
            };
            writes.extend(transitions.into_iter().filter_map(write));
            batches.push(batch);
        }
        let mut conflicting = BTreeSet::new();
        let classify = |error| self.classifier().classify_error(error);
        // Each round writes all transitions of a tag, or drops those that prevented the others from being written.
        while !writes.is_empty() {
            let script = self.client().load_script(&APPLY).await.map_err(classify)?;
            let groups = group_by_tag(writes);
            let calls = groups.iter().map(|group| self.apply_call(script, group)).collect();
            let answers = self.client().call_script(script, calls).await.map_err(classify)?;
            writes = vec![];
            for (group, answer) in groups.into_iter().zip(answers) {
                match answer.map_err(classify) {
                    Ok(answer) => writes.extend(self.process_answer(group, &answer, &mut conflicting, refusal)?),
                    Err(error @ ProjectionError::Unavailable(_)) => return Err(error),
                    Err(error @ (ProjectionError::Rejected(_) | ProjectionError::Poison(_))) => {
                        refusal.get_or_insert(error);
                    }
                }
            }
        }
        Ok(batches
            .into_iter()
            .enumerate()
            .filter(|(index, _)| conflicting.contains(index))
            .map(|(_, batch)| batch)
            .collect())
    }

    /// Processes the answer of one call. If nothing was written, returns the transitions that can be written without
    /// the others.
    fn process_answer(
        &self,
        group: Vec<PendingWrite<S>>,
        answer: &Value,
        conflicting: &mut BTreeSet<usize>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<PendingWrite<S>>, ProjectionError> {
        if *answer == Value::Int(1) {
            let states = group.into_iter().map(|PendingWrite { key, transition, .. }| {
                let StateTransition { to, text, .. } = transition;
                (key.into_text(), to, text.len())
            });
            self.cache().put_all(states.collect());
            return Ok(vec![]);
        }
        let each: &[Value] = if let Value::Array(each) = answer { each } else { &[] };
        let is_stuck = each.iter().all(|answer| *answer == Value::Int(1));
        if each.len() != group.len() || is_stuck {
            return Err(ProjectionError::unavailable("the answer of the script does not match its call"));
        }
        let mut writable = vec![];
        for (write, answer) in group.into_iter().zip(each) {
            if *answer == Value::Int(1) {
                writable.push(write);
            } else if *answer == Value::Int(0) {
                conflicting.insert(write.batch);
            } else {
                let reason: String = redis::from_redis_value(answer.clone()).unwrap_or_default();
                refusal.get_or_insert(ProjectionError::rejected(InvalidStoredState::new(write.key.as_str(), reason)));
            }
        }
        Ok(writable)
    }

    /// The call of the script for transitions of one tag; `apply.lua` documents its keys and arguments.
    fn apply_call(&self, script: LoadedScript, group: &[PendingWrite<S>]) -> ScriptCall {
        let mut sums = BTreeMap::<&FigureTarget, BTreeMap<&str, i64>>::new();
        let is_same_target = |one: &FigureDelta, next: &FigureDelta| Arc::ptr_eq(&one.target, &next.target);
        for figures in group.iter().flat_map(|write| write.transition.figures.chunk_by(is_same_target)) {
            let Some(first) = figures.first() else { continue };
            let fields = sums.entry(first.target.as_ref()).or_default();
            for FigureDelta { field, delta, .. } in figures {
                *fields.entry(field.as_ref()).or_default() += delta;
            }
        }
        sums.retain(|_, fields| {
            fields.retain(|_, sum| *sum != 0);
            !fields.is_empty()
        });
        let marker = group.first().map(|write| self.marker_key(write.key.tag()));
        let state_keys = group.iter().map(|write| write.key.as_str());
        let target_keys = sums.keys().map(|target| target.key.as_str());
        let keys: Vec<&str> = marker.as_deref().into_iter().chain(state_keys).chain(target_keys).collect();
        let mut call = ScriptCall::with_capacity(script, &keys, measure_arguments(group, &sums));
        call.add_argument(group.len()).add_argument(sums.len());
        for PendingWrite { transition, .. } in group {
            call.add_argument(transition.from).add_argument(transition.to.version);
            call.add_argument(&transition.text).add_argument(transition.ttl_seconds);
        }
        for (target, fields) in &sums {
            call.add_argument(target.kind.script_name()).add_argument(target.expires_at).add_argument(fields.len());
            for (field, sum) in fields {
                call.add_argument(*field).add_argument(*sum);
            }
        }
        call
    }

    /// The calls that write batches for which nothing is stored yet.
    #[cfg(test)]
    pub(crate) fn first_calls<B: StateBatch<State = S>>(&self, batches: &[B]) -> Vec<ScriptCall> {
        use super::state_batch::VersionedState;

        let mut writes = vec![];
        for (index, batch) in batches.iter().enumerate() {
            let initial = |index| VersionedState { version: 0, state: batch.initial_state(index) };
            let states = (0..batch.keys().len()).map(initial).collect();
            for transition in batch.fold(states).unwrap() {
                writes.push(PendingWrite { batch: index, key: batch.keys()[transition.index].clone(), transition });
            }
        }
        let script = LoadedScript::for_test(&APPLY);
        group_by_tag(writes).iter().map(|group| self.apply_call(script, group)).collect()
    }
}

/// How much room the arguments of a call take; more only if names of fields are long.
fn measure_arguments<S>(
    group: &[PendingWrite<S>],
    sums: &BTreeMap<&FigureTarget, BTreeMap<&str, i64>>,
) -> ArgumentsSize {
    let field_count = sums.values().map(BTreeMap::len).sum::<usize>();
    let count = 2 + 4 * group.len() + 3 * sums.len() + 2 * field_count;
    let text_bytes = group.iter().map(|write| write.transition.text.len()).sum::<usize>();
    ArgumentsSize { count, bytes: text_bytes + ARGUMENT_BYTES * count }
}

fn group_by_tag<S>(writes: Vec<PendingWrite<S>>) -> Vec<Vec<PendingWrite<S>>> {
    let mut groups = BTreeMap::<String, Vec<PendingWrite<S>>>::new();
    for write in writes {
        match groups.get_mut(write.key.tag()) {
            Some(group) => group.push(write),
            None => {
                groups.insert(write.key.tag().to_owned(), vec![write]);
            }
        }
    }
    groups.into_values().collect()
}
