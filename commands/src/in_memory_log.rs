//! A log in memory, for tests of batches.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use domain::event_store::{BatchStore, FactOutcome, FactStore, NewEvent, NewFact, StoreError, StoredEvent};
use uuid::Uuid;

/// A log in memory that keeps the promises of [`BatchStore`] and [`FactStore`], and can let another writer be faster.
#[derive(Default)]
pub(crate) struct InMemoryLog {
    pub(crate) events: Mutex<Vec<NewEvent>>,
    /// What another writer appends just before the next append.
    pub(crate) competing_events: Mutex<Vec<NewEvent>>,
    /// The ids of facts.
    pub(crate) facts: Mutex<HashSet<Uuid>>,
    /// How often streams were asked for.
    pub(crate) lookup_count: Mutex<u32>,
}

impl InMemoryLog {
    pub(crate) fn len(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl BatchStore for &InMemoryLog {
    async fn load_streams(&self, kind: &'static str, ids: &[String]) -> Result<Vec<StoredEvent>, StoreError> {
        let events = self.events.lock().unwrap();
        let wanted = |event: &&NewEvent| event.aggregate_type == kind && ids.contains(&event.aggregate_id);
        let mut found: Vec<_> = events.iter().filter(wanted).cloned().collect();
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
        let mut events = self.events.lock().unwrap();
        events.append(&mut self.competing_events.lock().unwrap());
        let taken = |event: &NewEvent| {
            let place = |event: &NewEvent| (event.aggregate_type, event.aggregate_id.clone(), event.sequence);
            events.iter().any(|old| place(old) == place(event))
        };
        if new.iter().any(taken) {
            return Err(StoreError::Conflict);
        }
        events.extend(new);
        Ok(())
    }
}

impl FactStore for &InMemoryLog {
    async fn append_facts(&self, facts: &[NewFact], stream_events: u64) -> Result<Vec<FactOutcome>, StoreError> {
        let rivals: Vec<_> = self.competing_events.lock().unwrap().drain(..).collect();
        let mut events = self.events.lock().unwrap();
        if !rivals.is_empty() {
            events.extend(rivals);
            return Err(StoreError::Conflict);
        }
        let mut ids = self.facts.lock().unwrap();
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
                metadata: fact.metadata.clone(),
            });
            FactOutcome::Recorded
        });
        Ok(outcomes.collect())
    }

    async fn existing_streams(&self, kind: &'static str, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        *self.lookup_count.lock().unwrap() += 1;
        let events = self.events.lock().unwrap();
        let found = events.iter().filter(|event| event.aggregate_type == kind && ids.contains(&event.aggregate_id));
        Ok(found.map(|event| event.aggregate_id.clone()).collect())
    }
}
