//! What of the log makes answers old.

use std::time::Duration;

use domain::{context::Context, envelope::RawRecorded};
use serde::Deserialize;

use super::Answers;
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// Something that was done, by somebody or on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswersChange {
    pub(super) position: u64,
    pub(super) tenant_id: String,
    pub(super) user_id: Option<String>,
    pub(super) page_url: Option<String>,
}

/// What is read of events about views, clicks and saves.
#[derive(Deserialize)]
struct Told {
    user_id: Option<String>,
    page_url: Option<String>,
}

/// Nothing is expected, since nothing is kept that could not be forgotten.
struct Nothing;

impl Fold for Nothing {
    fn take(&mut self, _event: &RawRecorded) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        vec![]
    }
}

impl Projection for Answers {
    const NAME: &'static str = "answers";

    const KEEPS: bool = false;

    type Change = AnswersChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Analytics]
    }

    fn pace() -> Pace {
        Pace { batch_events: 1_000, linger: Duration::from_millis(2), rebuild_events: 1_000 }
    }

    /// There is but one: an answer is old for every reader.
    fn at(&self, _generation: Generation) -> Self {
        self.clone()
    }

    fn project(event: &RawRecorded) -> Result<Vec<AnswersChange>, ProjectionError> {
        if event.aggregate_type != "visit" {
            return Ok(vec![]);
        }
        let Told { user_id, page_url } = serde_json::from_str(&event.payload).map_err(ProjectionError::poison)?;
        let tenant_id = event.tenant_id.clone();
        Ok(vec![AnswersChange { position: event.position, tenant_id, user_id, page_url }])
    }

    async fn apply(&self, changes: &[AnswersChange]) -> Result<(), ProjectionError> {
        self.note(changes).await
    }

    async fn holds(&self, change: &AnswersChange) -> Result<bool, QueryError> {
        self.has_noted(change).await
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
