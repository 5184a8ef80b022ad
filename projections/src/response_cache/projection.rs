//! The projection of visit events to invalidations of cached responses.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};
use serde::Deserialize;

use super::ResponseCache;
use crate::{
    QueryError,
    runtime::{BatchLimits, ProjectionError, StatelessProjection},
};

/// The invalidation of the cached responses about a user and a page, caused by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInvalidation {
    pub(super) position: u64,
    pub(super) tenant_id: String,
    pub(super) user_id: Option<String>,
    pub(super) page_url: Option<String>,
}

/// The fields of a visit event's payload that select the cached responses to invalidate.
#[derive(Deserialize)]
struct InvalidationPayload {
    user_id: Option<String>,
    page_url: Option<String>,
}

impl StatelessProjection for ResponseCache {
    const NAME: &'static str = "answers";

    type Change = CacheInvalidation;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Analytics]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(2), rebuild_events: 1_000 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<CacheInvalidation>, ProjectionError> {
        if event.aggregate_type != "visit" {
            return Ok(vec![]);
        }
        let InvalidationPayload { user_id, page_url } =
            serde_json::from_str(&event.payload).map_err(ProjectionError::poison)?;
        let tenant_id = event.tenant_id.clone();
        Ok(vec![CacheInvalidation { position: event.position, tenant_id, user_id, page_url }])
    }

    async fn apply(&self, changes: &[CacheInvalidation]) -> Result<(), ProjectionError> {
        self.record_invalidations(changes).await
    }

    async fn is_applied(&self, change: &CacheInvalidation) -> Result<bool, QueryError> {
        self.has_recorded(change).await
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping_server().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.delete_keys().await
    }
}
