//! What the log's events become in `Redis`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::{
    context::Context,
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent},
};

use super::{
    Views,
    compare::ViewFold,
    fold::{Step, Versioned, fold},
};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// How often a batch is folded anew because another worker was faster.
const ATTEMPTS: usize = 10;

/// Opportunities that are read or written in one round trip.
const PER_ROUND_TRIP: usize = 200;

/// One event of one opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The opportunity.
    pub id: String,
    /// The event's place in its stream.
    pub sequence: u64,
    /// The event.
    pub event: OpportunityEvent,
}

impl Projection for Views {
    const NAME: &'static str = "views";

    type Change = ViewChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Opportunities]
    }

    fn pace() -> Pace {
        Pace { batch_events: 2_000, linger: Duration::from_millis(5), rebuild_events: 5_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<ViewChange>, ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(vec![]);
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload;
        Ok(vec![ViewChange { id: event.aggregate_id.clone(), sequence: event.sequence, event: payload }])
    }

    async fn apply(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        let mut streams = BTreeMap::<&str, Vec<&ViewChange>>::new();
        for change in changes {
            streams.entry(&change.id).or_default().push(change);
        }
        let streams: Vec<_> = streams.into_iter().collect();
        for some in streams.chunks(PER_ROUND_TRIP) {
            self.apply_some(some.iter().cloned().collect()).await?;
        }
        Ok(())
    }

    async fn give_up(&self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(());
        }
        let id = event.aggregate_id.as_str();
        let stored = self.stored(&[id]).await.map_err(ProjectionError::unavailable)?;
        let before = stored.into_iter().find(|stored| stored.version + 1 == event.sequence);
        let step = before.map(|before| {
            let to = Versioned { version: event.sequence, state: before.state };
            (id, Step { from: before.version, to, deltas: BTreeMap::new() })
        });
        self.write(&Vec::from_iter(step)).await.map(drop).map_err(ProjectionError::unavailable)
    }

    async fn holds(&self, change: &ViewChange) -> Result<bool, QueryError> {
        Ok(self.version(&change.id).await? >= change.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        let mut cursor = 0;
        loop {
            let (next, keys) = self.scan(cursor).await?;
            if !keys.is_empty() {
                self.unlink(keys).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        ViewFold::of(scope)
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.rows(scope).await
    }
}

impl Views {
    async fn apply_some(&self, mut streams: HashMap<&str, Vec<&ViewChange>>) -> Result<(), ProjectionError> {
        for _ in 0..ATTEMPTS {
            let ids: Vec<&str> = streams.keys().copied().collect();
            let stored = self.stored(&ids).await.map_err(ProjectionError::unavailable)?;
            let mut steps = vec![];
            for (id, stored) in ids.iter().zip(&stored) {
                if let Some(step) = fold(stored, &streams[id]).map_err(ProjectionError::poison)? {
                    steps.push((*id, step));
                }
            }
            // Only those stay in hand whose version somebody else moved meanwhile.
            let overtaken = self.write(&steps).await.map_err(ProjectionError::unavailable)?;
            streams.retain(|id, _| overtaken.contains(id));
            if streams.is_empty() {
                return Ok(());
            }
        }
        Err(ProjectionError::unavailable("another writer keeps moving the same views"))
    }
}

#[cfg(test)]
mod tests;
