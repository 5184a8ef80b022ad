//! The stored state of one stream, and how it is folded.

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::tenant_aggregate::{ListGroup, TenantAggregate};
use crate::runtime::ProjectionError;

/// A folded aggregate with its audit stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAggregate<A> {
    /// Sequence of the last folded event; stored beside the state.
    #[serde(skip)]
    pub version: u64,
    /// When the first event was recorded.
    pub created_at: DateTime<Utc>,
    /// The user who sent the first command.
    pub created_by: String,
    /// When the last event was recorded.
    pub updated_at: DateTime<Utc>,
    /// The user who sent the last command.
    pub updated_by: String,
    /// The folded state.
    pub state: A,
}

/// A folded stream of any aggregate type.
pub(super) trait AggregateFold: Send {
    /// Folds the next event.
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError>;

    /// Advances the version past the next event, a dead letter that is skipped, without folding it.
    fn skip_event(&mut self, event: &RawEnvelope);

    /// The sequence of the last event, 0 before the first.
    fn version(&self) -> u64;

    /// Time of the first event, in milliseconds of Unix time; 0 before it.
    fn created_at_millis(&self) -> i64;

    /// The groups that list the aggregate.
    fn groups(&self) -> Vec<ListGroup>;

    /// Encodes the state as it is stored.
    fn to_json(&self) -> serde_json::Result<String>;
}

/// A stream of one aggregate type; `None` before its first event.
pub(super) struct FoldedStream<A>(Option<StoredAggregate<A>>);

impl<A: TenantAggregate> FoldedStream<A> {
    pub(super) fn new() -> Self {
        Self(None)
    }

    pub(super) fn from_stored(version: u64, text: &str) -> serde_json::Result<Self> {
        parse_stored(version, text).map(Some).map(Self)
    }

    /// The folded aggregate; `None` before its first event.
    pub(super) fn into_stored(self) -> Option<StoredAggregate<A>> {
        self.0
    }

    fn advance(&mut self, event: &RawEnvelope) -> &mut StoredAggregate<A> {
        let stored = self.0.get_or_insert_with(|| StoredAggregate {
            version: 0,
            created_at: event.recorded_at,
            created_by: event.metadata.user_id.clone(),
            updated_at: event.recorded_at,
            updated_by: String::new(),
            state: A::default(),
        });
        stored.version = event.sequence;
        stored.updated_at = event.recorded_at;
        stored.updated_by.clone_from(&event.metadata.user_id);
        stored
    }
}

impl<A: TenantAggregate> AggregateFold for FoldedStream<A> {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let decoded = event.decode().map_err(ProjectionError::poison)?;
        self.advance(event).state.apply(decoded);
        Ok(())
    }

    fn skip_event(&mut self, event: &RawEnvelope) {
        self.advance(event);
    }

    fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |stored| stored.version)
    }

    fn created_at_millis(&self) -> i64 {
        self.0.as_ref().map_or(0, |stored| stored.created_at.timestamp_millis())
    }

    fn groups(&self) -> Vec<ListGroup> {
        self.0.as_ref().map_or_else(Vec::new, |stored| stored.state.groups())
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.0)
    }
}

/// Decodes the stored state of a stream.
pub(super) fn parse_stored<A: DeserializeOwned>(version: u64, text: &str) -> serde_json::Result<StoredAggregate<A>> {
    let stored: StoredAggregate<A> = serde_json::from_str(text)?;
    Ok(StoredAggregate { version, ..stored })
}
