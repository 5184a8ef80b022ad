//! The projection of events to change notifications.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{ChangeFeed, ChangeNotification};
use crate::{
    QueryError,
    runtime::{BatchLimits, ForwardingProjection, ProjectionError},
};

impl ForwardingProjection for ChangeFeed {
    const NAME: &'static str = "live";

    const READS_PAYLOADS: bool = false;

    const STORE: &'static str = "redis";

    type Change = ChangeNotification;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &BoundedContext::ALL
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(2), rebuild_events: 1_000 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<ChangeNotification>, ProjectionError> {
        ChangeNotification::from_event(event).map(|change| vec![change])
    }

    async fn apply(&self, changes: &[ChangeNotification]) -> Result<(), ProjectionError> {
        self.publish_changes(changes).await.map(drop)
    }

    async fn is_applied(&self, change: &ChangeNotification) -> Result<bool, QueryError> {
        self.has_published(change).await
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.client().ping().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.delete_sequence_keys().await
    }
}
