//! Records steps of visits in batches. Steps are facts, appended without loading their visits.

mod engagement_metrics;
mod known_opportunities;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use cqrs_es::{Aggregate, DomainEvent};
use domain::{
    envelope::EventMetadata,
    event_store::{FactOutcome, FactStore, NewFact, StoreError},
    opportunity::Opportunity,
    visit::{ClientEventId, Visit, VisitCommand, VisitEvent, VisitId},
};

use self::{
    engagement_metrics::{EngagementLabels, count_engagement},
    known_opportunities::KnownOpportunities,
};
use crate::{
    caller::Caller,
    command_metrics::{EventSource, count_events},
    error::BatchAppendError,
};

/// Maximum number of attempts to append a batch when others write to the same visits.
const MAX_ATTEMPTS: u32 = 10;

/// One step of one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitStep {
    /// The visit.
    pub visit_id: VisitId,
    /// The client's own id of the step, which identifies a repetition; without one it is recognised by its entire
    /// content.
    pub client_event_id: Option<ClientEventId>,
    /// The view or click.
    pub command: VisitCommand,
}

/// Appends steps of visits to the log as facts.
#[derive(Debug)]
pub struct VisitRecorder<S> {
    store: S,
    max_visit_events: u64,
    known: KnownOpportunities,
}

impl<S: FactStore> VisitRecorder<S> {
    /// Appends to the log behind `store`, at most `max_visit_events` events per visit.
    pub fn new(store: S, max_visit_events: u64) -> Self {
        Self { store, max_visit_events, known: KnownOpportunities::default() }
    }

    /// Records the steps of any number of visits, in their order and in one append: all of them or none, except steps
    /// of visits that have reached their maximum number of events. Returns the outcome of each step. The same steps
    /// sent again, at any later time, append nothing.
    ///
    /// # Errors
    /// [`BatchAppendError`] when the append fails.
    #[tracing::instrument(skip_all, fields(steps = steps.len(), correlation.id = %caller.correlation_id))]
    pub async fn record_steps(
        &self,
        caller: &Caller,
        steps: &[VisitStep],
    ) -> Result<Vec<FactOutcome>, BatchAppendError> {
        let events: Vec<_> = steps.iter().map(|step| VisitEvent::from(step.command.clone())).collect();
        let unknown = self.find_unknown_opportunities(&events).await?;
        let labels: Vec<_> = events.iter().map(|event| EngagementLabels::new(event, &unknown)).collect();
        let metadata = Arc::new(caller.metadata());
        let unknown_metadata = Arc::new(EventMetadata { about_unknown: true, ..(*metadata).clone() });
        let mut facts = Vec::with_capacity(steps.len());
        for (step, event) in steps.iter().zip(events) {
            let is_unknown = event.opportunity_id().is_some_and(|id| unknown.contains(id.as_str()));
            let payload = serde_json::to_string(&event).map_err(|source| BatchAppendError::Corrupt {
                aggregate_id: step.visit_id.to_string(),
                sequence: 0,
                source: source.into(),
            })?;
            facts.push(NewFact {
                aggregate_id: step.visit_id.as_str().to_owned(),
                event_id: event.event_id(&step.visit_id, step.client_event_id.as_ref()),
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload,
                metadata: Arc::clone(if is_unknown { &unknown_metadata } else { &metadata }),
            });
        }
        let outcomes = self.append_with_retry(&facts).await?;
        let recorded = facts.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == FactOutcome::Recorded);
        let recorded = recorded.map(|(fact, _)| (fact.aggregate_id.as_str(), fact.event_type.as_str()));
        count_events(Visit::TYPE, EventSource::Command, recorded);
        count_engagement(&labels, &outcomes);
        Ok(outcomes)
    }

    async fn append_with_retry(&self, facts: &[NewFact]) -> Result<Vec<FactOutcome>, BatchAppendError> {
        let mut attempts_left = MAX_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.store.append_facts(facts, self.max_visit_events).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(StoreError::Conflict) if attempts_left > 0 => {
                    tracing::debug!(aggregate.kind = Visit::TYPE, "another writer appended first, appending again");
                }
                Err(error) => return Err(BatchAppendError::Store(error)),
            }
        }
    }

    /// Opportunities of these events that are not recorded. A recorded one stays recorded, and is looked up only once.
    async fn find_unknown_opportunities(&self, events: &[VisitEvent]) -> Result<BTreeSet<String>, BatchAppendError> {
        let named: BTreeSet<_> =
            events.iter().filter_map(VisitEvent::opportunity_id).map(ToString::to_string).collect();
        let mut unknown = self.known.filter_unknown(named);
        if !unknown.is_empty() {
            let ids: Vec<_> = unknown.iter().cloned().collect();
            let found = self.store.existing_streams(Opportunity::TYPE, &ids).await.map_err(BatchAppendError::Store)?;
            unknown.retain(|id| !found.contains(id));
            self.known.add(found);
        }
        Ok(unknown)
    }
}
