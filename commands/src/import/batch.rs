//! The streams that one batch of notices touches, folded from the log and decided on.

use std::collections::HashMap;

use cqrs_es::{Aggregate, DomainEvent};
use domain::{
    opportunity::{Notice, Opportunity, OpportunityCommand, OpportunityEvent},
    store::{BatchStore, NewEvent},
    upcast,
};

use super::ImportError;
use crate::caller::Caller;

/// One stream's state and the sequence of its last event.
#[derive(Default)]
struct Stream {
    state: Opportunity,
    sequence: u64,
}

impl Stream {
    fn evolve(&mut self, event: OpportunityEvent) {
        self.state.evolve(event);
        self.sequence += 1;
    }
}

/// What a batch decided, not yet appended.
pub(super) struct Batch {
    streams: HashMap<String, Stream>,
    decided: Vec<Decided>,
}

struct Decided {
    aggregate_id: String,
    sequence: u64,
    event: OpportunityEvent,
    metadata: domain::envelope::Metadata,
}

impl Batch {
    /// Folds the streams that the notices are about.
    pub(super) async fn load(store: &impl BatchStore, notices: &[Notice]) -> Result<Self, ImportError> {
        let mut ids: Vec<_> = notices.iter().map(|notice| notice.opportunity_id().to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut streams: HashMap<String, Stream> = HashMap::with_capacity(ids.len());
        for stored in store.load_many(Opportunity::TYPE, &ids).await.map_err(ImportError::Store)? {
            let event = upcast::decode(&stored.event_type, &stored.event_version, &stored.payload);
            let event = event.map_err(|source| ImportError::Corrupt {
                aggregate_id: stored.aggregate_id.clone(),
                sequence: stored.sequence,
                source: source.into(),
            })?;
            streams.entry(stored.aggregate_id).or_default().evolve(event);
        }
        Ok(Self { streams, decided: Vec::with_capacity(notices.len()) })
    }

    /// Decides what a notice changes; false when it is on record already.
    pub(super) fn take_in(&mut self, caller: &Caller, notice: &Notice) -> bool {
        let aggregate_id = notice.opportunity_id().to_string();
        let stream = self.streams.entry(aggregate_id.clone()).or_default();
        // Recording a notice is never refused.
        let events =
            stream.state.decide(OpportunityCommand::RecordNotice(Box::new(notice.clone()))).unwrap_or_default();
        for event in &events {
            stream.evolve(event.clone());
            self.decided.push(Decided {
                aggregate_id: aggregate_id.clone(),
                sequence: stream.sequence,
                event: event.clone(),
                metadata: caller.metadata(),
            });
        }
        !events.is_empty()
    }

    /// The decided events, in the order of the notices.
    pub(super) fn into_events(self) -> Result<Vec<NewEvent>, ImportError> {
        self.decided
            .into_iter()
            .map(|decided| {
                let payload = serde_json::to_string(&decided.event).map_err(|source| ImportError::Corrupt {
                    aggregate_id: decided.aggregate_id.clone(),
                    sequence: decided.sequence,
                    source: source.into(),
                })?;
                Ok(NewEvent {
                    aggregate_type: Opportunity::TYPE,
                    aggregate_id: decided.aggregate_id,
                    sequence: decided.sequence,
                    event_type: decided.event.event_type(),
                    event_version: decided.event.event_version(),
                    payload,
                    metadata: decided.metadata,
                })
            })
            .collect()
    }
}
