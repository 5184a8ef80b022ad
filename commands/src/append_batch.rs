//! Decides commands on many streams of one aggregate type and appends their events in one transaction.
//!
//! ```text
//! load streams ──▶ decide each command ──▶ append all ──┐
//!      ▲                                                │
//!      └──────────────────── conflict ◀─────────────────┘
//! ```

use std::collections::HashMap;

use cqrs_es::{Aggregate, DomainEvent};
use domain::{
    event_store::{BatchStore, NewEvent, StoreError},
    event_version::VersionedEvents,
    upcast,
};

use crate::{
    caller::Caller,
    command_metrics::{EventSource, count_events},
    error::BatchAppendError,
};

/// Maximum number of attempts to decide a batch when others write to the same streams.
const MAX_ATTEMPTS: u32 = 10;

/// One stream's state and the sequence of its last event.
#[derive(Default)]
struct BatchedStream<A> {
    state: A,
    sequence: u64,
}

impl<A: Aggregate> BatchedStream<A> {
    fn apply_event(&mut self, event: A::Event) {
        self.state.apply(event);
        self.sequence += 1;
    }
}

/// The events decided so far, not yet appended.
pub struct AppendBatch<A: Aggregate> {
    streams: HashMap<String, BatchedStream<A>>,
    decided: Vec<(String, u64, A::Event)>,
}

impl<A: Aggregate<Event: VersionedEvents>> AppendBatch<A> {
    async fn load_streams(store: &impl BatchStore, ids: &[String]) -> Result<Self, BatchAppendError> {
        let mut streams: HashMap<String, BatchedStream<A>> = HashMap::with_capacity(ids.len());
        for stored in store.load_streams(A::TYPE, ids).await.map_err(BatchAppendError::Store)? {
            let event = upcast::decode_event_of::<A>(&stored.event_type, &stored.event_version, &stored.payload);
            let event = event.map_err(|source| BatchAppendError::Corrupt {
                aggregate_id: stored.aggregate_id.clone(),
                sequence: stored.sequence,
                source: source.into(),
            })?;
            streams.entry(stored.aggregate_id).or_default().apply_event(event);
        }
        Ok(Self { streams, decided: Vec::with_capacity(ids.len()) })
    }

    /// Decides one command on the stream `id`; returns the number of events that it decided.
    pub fn decide_stream(&mut self, id: &str, decide: impl FnOnce(&A) -> Vec<A::Event>) -> usize {
        let stream = self.streams.entry(id.to_owned()).or_default();
        let events = decide(&stream.state);
        let count = events.len();
        for event in events {
            stream.apply_event(event.clone());
            self.decided.push((id.to_owned(), stream.sequence, event));
        }
        count
    }

    /// The decided events, in the order of the commands.
    fn into_events(self, caller: &Caller) -> Result<Vec<NewEvent>, BatchAppendError> {
        let to_new_event =
            |(aggregate_id, sequence, event): (String, u64, A::Event)| match serde_json::to_string(&event) {
                Ok(payload) => Ok(NewEvent {
                    aggregate_type: A::TYPE,
                    aggregate_id,
                    sequence,
                    event_type: event.event_type(),
                    event_version: event.event_version(),
                    payload,
                    metadata: caller.metadata(),
                }),
                Err(source) => Err(BatchAppendError::Corrupt { aggregate_id, sequence, source: source.into() }),
            };
        self.decided.into_iter().map(to_new_event).collect()
    }
}

/// Folds the streams `ids`, runs `decide` on the batch, and appends the decided events; tries again after a conflict.
/// Returns the result of `decide` in the attempt that was recorded, and the number of events.
///
/// # Errors
/// [`BatchAppendError`] when the streams cannot be read or the append fails.
pub async fn decide_and_append<A: Aggregate<Event: VersionedEvents>, T>(
    store: &impl BatchStore,
    caller: &Caller,
    mut ids: Vec<String>,
    decide: impl Fn(&mut AppendBatch<A>) -> T,
) -> Result<(T, u64), BatchAppendError> {
    ids.sort_unstable();
    ids.dedup();
    let mut attempts_left = MAX_ATTEMPTS;
    loop {
        attempts_left -= 1;
        let mut batch = AppendBatch::load_streams(store, &ids).await?;
        let decision = decide(&mut batch);
        let events = batch.into_events(caller)?;
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let appended: Vec<_> =
            events.iter().map(|event| (event.aggregate_id.clone(), event.event_type.clone())).collect();
        match store.append_events(events).await {
            Ok(()) => {
                let appended = appended.iter().map(|(id, event_type)| (id.as_str(), event_type.as_str()));
                count_events(A::TYPE, EventSource::Import, appended);
                return Ok((decision, count));
            }
            Err(StoreError::Conflict) if attempts_left > 0 => {
                tracing::debug!(aggregate.kind = A::TYPE, "another writer appended first, deciding again");
            }
            Err(error) => return Err(BatchAppendError::Store(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{envelope::EventMetadata, opportunity::Opportunity};

    use super::*;
    use crate::in_memory_log::InMemoryLog;

    fn archived(version: &str) -> NewEvent {
        NewEvent {
            aggregate_type: Opportunity::TYPE,
            aggregate_id: "097:X".to_owned(),
            sequence: 1,
            event_type: "opportunity.archived".to_owned(),
            event_version: version.to_owned(),
            payload: r#"{"type":"archived","stamp":{"by":"ann","at":"2026-03-03T12:00:00Z"},"because":"new"}"#
                .to_owned(),
            metadata: EventMetadata::default(),
        }
    }

    #[tokio::test]
    async fn a_batch_folds_what_a_newer_release_has_added_to_a_version() {
        let caller = Caller::for_program("system:import");
        for (version, is_read) in [("1.0", true), ("1.7", true), ("2.0", false)] {
            let log = InMemoryLog::default();
            log.events.lock().unwrap().push(archived(version));
            let decide = |batch: &mut AppendBatch<Opportunity>| batch.decide_stream("097:X", |_| vec![]);
            let outcome = decide_and_append(&&log, &caller, vec!["097:X".to_owned()], decide).await;
            assert_eq!(outcome.is_ok(), is_read, "{version}: {outcome:?}");
        }
    }
}
