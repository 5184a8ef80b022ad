//! The projection of events to changes of agencies' figures.

use std::time::Duration;

use cqrs_es::Aggregate as _;
use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityEvent},
};
use projections::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope,
    },
};

use super::{queries::AgencyFigures, verify::AgencyFiguresFold};

/// An event of an opportunity, and the number of notices that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeCount {
    pub(super) stream: String,
    pub(super) sequence: u64,
    pub(super) notices: i64,
}

impl Projection for AgencyFigures {
    const NAME: &'static str = "agencies";

    type Change = NoticeCount;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Opportunities]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(5), rebuild_events: 5_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self { store: self.store.with_generation(generation) }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<NoticeCount>, ProjectionError> {
        // Watchlists are on the same topic.
        if event.aggregate_type != Opportunity::TYPE {
            return Ok(vec![]);
        }
        let notices = match event.decode().map_err(ProjectionError::poison)? {
            OpportunityEvent::Discovered { .. } | OpportunityEvent::Amended { .. } => 1,
            OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Awarded { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => 0,
        };
        Ok(vec![NoticeCount { stream: event.aggregate_id.clone(), sequence: event.sequence, notices }])
    }

    async fn apply(&self, changes: &[NoticeCount]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    /// A dropped event advances the version of its stream and counts nothing.
    async fn skip_event(&self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if event.aggregate_type != Opportunity::TYPE {
            return Ok(());
        }
        let dropped = NoticeCount { stream: event.aggregate_id.clone(), sequence: event.sequence, notices: 0 };
        self.write_changes(&[dropped]).await
    }

    async fn is_applied(&self, change: &NoticeCount) -> Result<bool, QueryError> {
        Ok(self.store.load_lowest_version(&[self.state_key(&change.stream)]).await? >= change.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.store.client().ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.store.prepare().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.store.discard().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(AgencyFiguresFold::new(scope.clone(), self.store.generation()))
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        self.read_rows(scope).await
    }
}
