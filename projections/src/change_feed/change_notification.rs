//! What subscribers are told.

use chrono::{DateTime, Utc};
use domain::{context::BoundedContext, envelope::RawEnvelope};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::runtime::ProjectionError;

/// An event, told without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeNotification {
    /// Its place in the log.
    pub position: u64,
    /// Its identity, the same in every store.
    pub event_id: Uuid,
    /// Whose data it is.
    pub tenant_id: String,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: String,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// The event's name, e.g. `opportunity.amended`.
    pub event_type: String,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

/// An event of an aggregate that belongs to no context: a newer program recorded it.
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

    /// The channel that it is told on, below what all channels begin with.
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
    fn an_event_is_told_without_its_payload() {
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
