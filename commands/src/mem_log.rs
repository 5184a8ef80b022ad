//! A log in memory, for tests of batches.

use std::sync::{Mutex, PoisonError};

use domain::store::{BatchStore, NewEvent, StoreError, StoredEvent};

/// A log in memory that keeps the promises of [`BatchStore`], and can let another writer be faster.
#[derive(Default)]
pub(crate) struct MemLog {
    pub(crate) events: Mutex<Vec<NewEvent>>,
    /// What another writer appends just before the next append.
    pub(crate) rivals: Mutex<Vec<NewEvent>>,
}

impl MemLog {
    pub(crate) fn len(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl BatchStore for &MemLog {
    async fn load_many(&self, kind: &'static str, ids: &[String]) -> Result<Vec<StoredEvent>, StoreError> {
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

    async fn append_many(&self, new: Vec<NewEvent>) -> Result<(), StoreError> {
        let mut events = self.events.lock().unwrap();
        events.append(&mut self.rivals.lock().unwrap());
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
