//! Writes folded states: one script call for each tag, all of them in one round trip.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::{
    errors::InvalidStoredState,
    figure_delta::{FigureDelta, FigureTarget},
    script_call::{RedisScript, ScriptCall},
    state_batch::{StateBatch, StateTransition},
    state_key::StateKey,
    versioned_state_store::{FoldedBatch, VersionedStateStore},
};
use crate::runtime::ProjectionError;

/// The script that writes states, figures and lists atomically.
static APPLY: RedisScript = RedisScript::acknowledged(include_str!("apply.lua"));

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
        let (mut batches, mut writes) = (vec![], vec![]);
        for (index, (batch, transitions)) in folded.into_iter().enumerate() {
            let write = |transition: StateTransition<S>| {
                let key = batch.keys().get(transition.index)?.clone();
                Some(PendingWrite { batch: index, key, transition })
            };
            writes.extend(transitions.into_iter().filter_map(write));
            batches.push(batch);
        }
        let mut conflicting = BTreeSet::new();
        // Each round writes all transitions of a tag, or drops those that prevented the others from being written.
        while !writes.is_empty() {
            let groups = group_by_tag(writes);
            let calls: Vec<_> = groups.iter().map(|group| self.apply_call(group)).collect();
            let classify = |error| self.classifier().classify_error(error);
            let answers = self.client().call_script(&APPLY, &calls).await.map_err(classify)?;
            writes = vec![];
            for (group, answer) in groups.into_iter().zip(answers) {
                match answer.and_then(|value| Ok(redis::from_redis_value::<Vec<Value>>(value)?)).map_err(classify) {
                    Ok(answers) => writes.extend(self.process_answer(group, &answers, &mut conflicting, refusal)?),
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
        answers: &[Value],
        conflicting: &mut BTreeSet<usize>,
        refusal: &mut Option<ProjectionError>,
    ) -> Result<Vec<PendingWrite<S>>, ProjectionError> {
        let (all, each) = answers.split_first().unwrap_or((&Value::Nil, &[]));
        let is_written = *all == Value::Int(1);
        let is_stuck = !is_written && each.iter().all(|answer| *answer == Value::Int(1));
        if each.len() != group.len() || is_stuck {
            return Err(ProjectionError::unavailable("the answer of the script does not match its call"));
        }
        let mut writable = vec![];
        for (write, answer) in group.into_iter().zip(each) {
            if is_written {
                let StateTransition { to, text, .. } = write.transition;
                self.cache().put(write.key.key, to, text.len());
            } else if *answer == Value::Int(1) {
                writable.push(write);
            } else if *answer == Value::Int(0) {
                conflicting.insert(write.batch);
            } else {
                let reason: String = redis::from_redis_value(answer.clone()).unwrap_or_default();
                refusal.get_or_insert(ProjectionError::rejected(InvalidStoredState::new(&write.key.key, reason)));
            }
        }
        Ok(writable)
    }

    /// The call of the script for transitions of one tag; `apply.lua` documents its keys and arguments.
    fn apply_call(&self, group: &[PendingWrite<S>]) -> ScriptCall {
        let mut sums = BTreeMap::<&FigureTarget, BTreeMap<&str, i64>>::new();
        for FigureDelta { target, field, delta } in group.iter().flat_map(|write| &write.transition.figures) {
            *sums.entry(target).or_default().entry(field).or_default() += delta;
        }
        sums.retain(|_, fields| {
            fields.retain(|_, sum| *sum != 0);
            !fields.is_empty()
        });
        let mut call = ScriptCall::default();
        if let Some(write) = group.first() {
            call.add_key(self.marker_key(&write.key.tag));
        }
        for write in group {
            call.add_key(&write.key.key);
        }
        for target in sums.keys() {
            call.add_key(&target.key);
        }
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
        group_by_tag(writes).iter().map(|group| self.apply_call(group)).collect()
    }
}

fn group_by_tag<S>(writes: Vec<PendingWrite<S>>) -> Vec<Vec<PendingWrite<S>>> {
    let mut groups = BTreeMap::<String, Vec<PendingWrite<S>>>::new();
    for write in writes {
        match groups.get_mut(&write.key.tag) {
            Some(group) => group.push(write),
            None => {
                groups.insert(write.key.tag.clone(), vec![write]);
            }
        }
    }
    groups.into_values().collect()
}
