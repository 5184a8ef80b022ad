//! Many streams of one kind decided together and appended in one transaction.
//!
//! ```text
//! load streams ──▶ decide wish by wish ──▶ append all ──┐
//!      ▲                                                │
//!      └──────── another writer was faster ◀────────────┘
//! ```

use std::collections::HashMap;

use cqrs_es::{Aggregate, DomainEvent};
use domain::{
    store::{BatchStore, NewEvent, StoreError},
    upcast,
};

use crate::{caller::Caller, error::BatchError};

/// How often a batch is decided anew when others write to the same streams.
const MAX_ATTEMPTS: u32 = 10;

/// One stream's state and the sequence of its last event.
#[derive(Default)]
struct Stream<A> {
    state: A,
    sequence: u64,
}

impl<A: Aggregate> Stream<A> {
    fn take_in(&mut self, event: A::Event) {
        self.state.apply(event);
        self.sequence += 1;
    }
}

/// What was decided so far, not yet appended.
pub(crate) struct Batch<A: Aggregate> {
    streams: HashMap<String, Stream<A>>,
    decided: Vec<(String, u64, A::Event)>,
}

impl<A: Aggregate> Batch<A> {
    async fn load(store: &impl BatchStore, ids: &[String]) -> Result<Self, BatchError> {
        let mut streams: HashMap<String, Stream<A>> = HashMap::with_capacity(ids.len());
        for stored in store.load_many(A::TYPE, ids).await.map_err(BatchError::Store)? {
            let event = upcast::decode(&stored.event_type, &stored.event_version, &stored.payload);
            let event = event.map_err(|source| BatchError::Corrupt {
                aggregate_id: stored.aggregate_id.clone(),
                sequence: stored.sequence,
                source: source.into(),
            })?;
            streams.entry(stored.aggregate_id).or_default().take_in(event);
        }
        Ok(Self { streams, decided: Vec::with_capacity(ids.len()) })
    }

    /// Decides one wish over the stream `id`; answers how many events followed.
    pub(crate) fn decide(&mut self, id: &str, decide: impl FnOnce(&A) -> Vec<A::Event>) -> usize {
        let stream = self.streams.entry(id.to_owned()).or_default();
        let events = decide(&stream.state);
        let count = events.len();
        for event in events {
            stream.take_in(event.clone());
            self.decided.push((id.to_owned(), stream.sequence, event));
        }
        count
    }

    /// The decided events, in the order of the wishes.
    fn into_events(self, caller: &Caller) -> Result<Vec<NewEvent>, BatchError> {
        let new = |(aggregate_id, sequence, event): (String, u64, A::Event)| match serde_json::to_string(&event) {
            Ok(payload) => Ok(NewEvent {
                aggregate_type: A::TYPE,
                aggregate_id,
                sequence,
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload,
                metadata: caller.metadata(),
            }),
            Err(source) => Err(BatchError::Corrupt { aggregate_id, sequence, source: source.into() }),
        };
        self.decided.into_iter().map(new).collect()
    }
}

/// Folds the streams `ids`, lets `decide` go through the wishes, and appends what follows. Answers what `decide` did in
/// the attempt that was recorded, and the number of events.
pub(crate) async fn record<A: Aggregate, T>(
    store: &impl BatchStore,
    caller: &Caller,
    mut ids: Vec<String>,
    decide: impl Fn(&mut Batch<A>) -> T,
) -> Result<(T, u64), BatchError> {
    ids.sort_unstable();
    ids.dedup();
    let mut attempts_left = MAX_ATTEMPTS;
    loop {
        attempts_left -= 1;
        let mut batch = Batch::load(store, &ids).await?;
        let answer = decide(&mut batch);
        let events = batch.into_events(caller)?;
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        match store.append_many(events).await {
            Ok(()) => return Ok((answer, count)),
            Err(StoreError::Conflict) if attempts_left > 0 => {
                tracing::debug!(aggregate.kind = A::TYPE, "another writer was faster, deciding anew");
            }
            Err(error) => return Err(BatchError::Store(error)),
        }
    }
}
