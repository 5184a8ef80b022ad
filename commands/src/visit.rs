//! Steps of visits: one by one, or those of many visits at once.

pub mod generate;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use cqrs_es::{EventStore, persist::EventStoreAggregateContext};
use domain::{
    store::{BatchStore, CommandLog},
    visit::{Visit, VisitCommand, VisitEvent, VisitId},
};

use crate::{
    batch::{self, Batch},
    caller::Caller,
    condition::Conditions,
    error::{BatchError, CommandError},
    execute::{Executed, execute},
};

/// One step of one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The visit.
    pub visit_id: VisitId,
    /// What took place.
    pub command: VisitCommand,
}

/// A step that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The visit's version now: the sequence of its last event.
    pub version: u64,
    /// How many events the step led to; 0 when it was told before.
    pub events: usize,
}

/// What became of a batch of steps. `recorded + known` is the number of steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Steps that are new, and events now.
    pub recorded: u64,
    /// Steps that were told before.
    pub known: u64,
}

/// The use case of single steps.
pub struct Visits<S> {
    store: S,
}

impl<S> Visits<S>
where
    S: EventStore<Visit, AC = EventStoreAggregateContext<Visit>> + CommandLog,
{
    /// Works on the log behind `store`.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// Records a step, whatever it is. Telling it again is harmless.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] or [`CommandError::Store`] when the log does not take it; it is never rejected.
    #[tracing::instrument(skip_all, fields(visit.id = %step.visit_id))]
    pub async fn record(&self, caller: &Caller, step: &Step) -> Result<Accepted, CommandError<Infallible>> {
        let decide = |visit: &Visit| visit.decide(step.command.clone());
        let none = Conditions::default();
        let Executed { version, events, .. } =
            execute(&self.store, caller, step.visit_id.as_str(), &none, decide).await?;
        Ok(Accepted { version, events })
    }
}

/// The use case of many steps at once.
#[derive(Debug, Clone)]
pub struct VisitBatches<S> {
    store: S,
}

impl<S: BatchStore> VisitBatches<S> {
    /// Works on the log behind `store`.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// Records the steps of any number of visits in their order, with one append: all of them or none. Telling them
    /// again is harmless.
    ///
    /// # Errors
    /// [`BatchError`] when the log does not take them or holds a visit that cannot be read.
    #[tracing::instrument(skip_all, fields(steps = steps.len(), correlation.id = %caller.correlation_id))]
    pub async fn record(&self, caller: &Caller, steps: &[Step]) -> Result<Recorded, BatchError> {
        let ids = steps.iter().map(|step| step.visit_id.to_string()).collect();
        let decide = |batch: &mut Batch<Visit>| {
            for step in steps {
                batch.decide(step.visit_id.as_str(), |visit| taken(visit, step));
            }
        };
        let ((), recorded) = batch::record(&self.store, caller, ids, decide).await?;
        // A step is one event or none.
        let steps = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        Ok(Recorded { recorded, known: steps.saturating_sub(recorded) })
    }
}

/// What a step changes.
fn taken(visit: &Visit, step: &Step) -> Vec<VisitEvent> {
    let Ok(events) = visit.decide(step.command.clone());
    events
}
