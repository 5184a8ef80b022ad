//! The projection of events to invalidations of cached responses.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope, value::PUBLIC_TENANT};
use serde::Deserialize;

use super::ResponseCache;
use crate::{
    QueryError,
    runtime::{BatchLimits, ForwardingProjection, ProjectionError},
};

/// The invalidation of the cached responses about some subjects of a tenant, caused by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInvalidation {
    pub(super) position: u64,
    pub(super) tenant_id: String,
    pub(super) subjects: Vec<CacheSubject>,
}

/// What cached responses are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheSubject {
    /// The visits of a user.
    User(String),
    /// The visits on a page.
    Page(String),
    /// All opportunities, which are public.
    Opportunities,
}

/// The fields of a visit event's payload that select the cached responses to invalidate.
#[derive(Deserialize)]
struct InvalidationPayload {
    user_id: Option<String>,
    page_url: Option<String>,
}

impl ForwardingProjection for ResponseCache {
    const NAME: &'static str = "answers";

    const STORE: &'static str = "redis";

    type Change = CacheInvalidation;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Analytics, BoundedContext::Opportunities]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(2), rebuild_events: 1_000 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<CacheInvalidation>, ProjectionError> {
        let (tenant_id, subjects) = match event.aggregate_type.as_str() {
            "visit" => (event.tenant_id.clone(), visit_subjects(event)?),
            "opportunity" => (PUBLIC_TENANT.to_owned(), vec![CacheSubject::Opportunities]),
            _ => return Ok(vec![]),
        };
        Ok(vec![CacheInvalidation { position: event.position, tenant_id, subjects }])
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

fn visit_subjects(event: &RawEnvelope) -> Result<Vec<CacheSubject>, ProjectionError> {
    let InvalidationPayload { user_id, page_url } =
        serde_json::from_str(&event.payload).map_err(ProjectionError::poison)?;
    let user = user_id.map(CacheSubject::User);
    Ok(user.into_iter().chain(page_url.map(CacheSubject::Page)).collect())
}
