//! What of the log is told.

use std::time::Duration;

use domain::{context::Context, envelope::RawRecorded};

use super::{Live, LiveChange};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// Nothing is expected, since nothing is kept.
struct Nothing;

impl Fold for Nothing {
    fn take(&mut self, _event: &RawRecorded) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        vec![]
    }
}

impl Projection for Live {
    const NAME: &'static str = "live";

    const KEEPS: bool = false;

    type Change = LiveChange;

    fn subscribes() -> &'static [Context] {
        &Context::ALL
    }

    fn pace() -> Pace {
        Pace { batch_events: 1_000, linger: Duration::from_millis(2), rebuild_events: 1_000 }
    }

    /// There is but one: what was told cannot be told differently.
    fn at(&self, _generation: Generation) -> Self {
        self.clone()
    }

    fn project(event: &RawRecorded) -> Result<Vec<LiveChange>, ProjectionError> {
        LiveChange::of(event).map(|change| vec![change])
    }

    async fn apply(&self, changes: &[LiveChange]) -> Result<(), ProjectionError> {
        self.tell(changes).await.map(drop)
    }

    async fn holds(&self, change: &LiveChange) -> Result<bool, QueryError> {
        self.has_told(change).await
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.answers().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.answers().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.forget().await
    }

    fn fold(&self, _scope: &Scope) -> Box<dyn Fold> {
        Box::new(Nothing)
    }

    async fn read_back(&self, _scope: &Scope) -> Result<Vec<Row>, QueryError> {
        Ok(vec![])
    }
}
