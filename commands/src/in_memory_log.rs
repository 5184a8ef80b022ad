//! An event log in memory, for tests of use cases that append batches.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::event_store::{BatchStore, FactOutcome, FactStore, NewEvent, NewFact, StoreError, StoredEvent};
use uuid::Uuid;

/// An event log in memory that implements [`BatchStore`] and [`FactStore`], and can simulate a concurrent writer.
#[derive(Default)]
pub struct InMemoryLog {
    /// All events, in the order of their appends.
    pub events: Mutex<Vec<NewEvent>>,
    /// Events that a concurrent writer appends just before the next append.
    pub competing_events: Mutex<Vec<NewEvent>>,
    /// The ids of recorded facts.
    pub facts: Mutex<HashSet<Uuid>>,
    /// Number of calls of [`FactStore::existing_streams`].
    pub lookup_count: Mutex<u32>,
}

impl InMemoryLog {
    /// The number of events.
    pub fn event_count(&self) -> usize {
        lock(&self.events).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BatchStore for &InMemoryLog {
    async fn load_streams(&self, aggregate_type: &'static str, ids: &[String]) -> Result<Vec<StoredEvent>, StoreError> {
        let events = lock(&self.events);
        let is_requested =
            |event: &&NewEvent| event.aggregate_type == aggregate_type && ids.contains(&event.aggregate_id);
        let mut found: Vec<_> = events.iter().filter(is_requested).cloned().collect();
        found.sort_by(|a, b| (&a.aggregate_id, a.sequence).cmp(&(&b.aggregate_id, b.sequence)));
        Ok(found
            .into_iter()
            .map(|event| StoredEvent {
                aggregate_id: event.aggregate_id,
                sequence: event.sequence,
                event_type: event.event_type,
                event_version: event.event_version,
                payload: event.payload,
            })
            .collect())
    }

    async fn append_events(&self, new: Vec<NewEvent>) -> Result<(), StoreError> {
        let mut events = lock(&self.events);
        events.append(&mut lock(&self.competing_events));
        let key = |event: &NewEvent| (event.aggregate_type, event.aggregate_id.clone(), event.sequence);
        let is_taken = |event: &NewEvent| events.iter().any(|old| key(old) == key(event));
        if new.iter().any(is_taken) {
            return Err(StoreError::Conflict);
        }
        events.extend(new);
        Ok(())
    }
}

impl FactStore for &InMemoryLog {
    async fn append_facts(&self, facts: &[NewFact], stream_events: u64) -> Result<Vec<FactOutcome>, StoreError> {
        let competing: Vec<_> = lock(&self.competing_events).drain(..).collect();
        let mut events = lock(&self.events);
        if !competing.is_empty() {
            events.extend(competing);
            return Err(StoreError::Conflict);
        }
        let mut ids = lock(&self.facts);
        let outcomes = facts.iter().map(|fact| {
            if ids.contains(&fact.event_id) {
                return FactOutcome::Known;
            }
            let in_stream =
                |event: &&NewEvent| event.aggregate_type == "visit" && event.aggregate_id == fact.aggregate_id;
            let sequence = events.iter().filter(in_stream).count() as u64 + 1;
            if sequence > stream_events {
                return FactOutcome::StreamFull;
            }
            ids.insert(fact.event_id);
            events.push(NewEvent {
                aggregate_type: "visit",
                aggregate_id: fact.aggregate_id.clone(),
                sequence,
                event_type: fact.event_type.clone(),
                event_version: fact.event_version.clone(),
                payload: fact.payload.clone(),
                metadata: (*fact.metadata).clone(),
            });
            FactOutcome::Recorded
        });
        Ok(outcomes.collect())
    }

    async fn existing_streams(
        &self,
        aggregate_type: &'static str,
        ids: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        *lock(&self.lookup_count) += 1;
        let events = lock(&self.events);
        let found =
            events.iter().filter(|event| event.aggregate_type == aggregate_type && ids.contains(&event.aggregate_id));
        Ok(found.map(|event| event.aggregate_id.clone()).collect())
    }
}
