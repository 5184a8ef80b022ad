//! The notification that subscribers receive.

use chrono::{DateTime, Utc};
use domain::{context::BoundedContext, envelope::RawEnvelope};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::runtime::ProjectionError;

/// An event without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeNotification {
    /// Position of the event in the log.
    pub position: u64,
    /// Id of the event, the same in every store.
    pub event_id: Uuid,
    /// The tenant that owns the data.
    pub tenant_id: String,
    /// The aggregate type.
    pub aggregate_type: String,
    /// Id of the stream.
    pub aggregate_id: String,
    /// Sequence of the event in its stream, from 1.
    pub sequence: u64,
    /// The event type, e.g. `opportunity.amended`.
    pub event_type: String,
    /// When the event was recorded in the log.
    pub recorded_at: DateTime<Utc>,
}

/// The aggregate type belongs to no context of this release: a newer release recorded the event.
#[derive(Debug, thiserror::Error)]
#[error("no context has aggregates of type {0}")]
struct UnknownContext(String);

impl ChangeNotification {
    pub(super) fn from_event(event: &RawEnvelope) -> Result<Self, ProjectionError> {
        if BoundedContext::from_aggregate_type(&event.aggregate_type).is_none() {
            return Err(ProjectionError::poison(UnknownContext(event.aggregate_type.clone())));
        }
        Ok(Self {
            position: event.position,
            event_id: event.event_id,
            tenant_id: event.tenant_id.clone(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            recorded_at: event.recorded_at,
        })
    }

    /// The channel that it is published on, without the prefix.
    pub(super) fn channel(&self) -> String {
        let context = BoundedContext::from_aggregate_type(&self.aggregate_type).map_or("none", BoundedContext::name);
        format!("{}:{context}", self.tenant_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{discovered, recorded_event};

    #[test]
    fn a_notification_does_not_contain_the_payload() {
        let event = recorded_event(1, &discovered("Lifts"));
        let change = ChangeNotification::from_event(&event).unwrap();
        assert_eq!((change.position, change.sequence), (101, 1));
        assert_eq!(change.channel(), "public:opportunities");
        let message = serde_json::to_value(&change).unwrap();
        assert_eq!(message["eventType"], "opportunity.discovered");
        assert!(!message.to_string().contains("Lifts"), "{message}");
        assert_eq!(serde_json::from_value::<ChangeNotification>(message).unwrap(), change);
    }

    #[test]
    fn an_aggregate_without_a_context_is_poison() {
        let event = RawEnvelope { aggregate_type: "spaceship".to_owned(), ..recorded_event(1, &discovered("Lifts")) };
        assert!(matches!(ChangeNotification::from_event(&event), Err(ProjectionError::Poison(_))));
    }
}
