//! What is kept about one stream.

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

/// A stream that is folded, of whatever kind.
pub(super) trait AggregateFold: Send {
    /// Folds the next event in.
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError>;

    /// Moves on without the next event, which was given up.
    fn skip_event(&mut self, event: &RawEnvelope);

    /// The sequence of the last event in it, 0 before the first.
    fn version(&self) -> u64;

    /// When it began, in milliseconds since 1970.
    fn created_at_millis(&self) -> i64;

    /// The groups that it is in.
    fn groups(&self) -> Vec<ListGroup>;

    /// What is stored of it.
    fn to_json(&self) -> serde_json::Result<String>;
}

/// A stream of one kind; nothing before its first event.
pub(super) struct FoldedStream<A>(Option<StoredAggregate<A>>);

impl<A: TenantAggregate> FoldedStream<A> {
    pub(super) fn new() -> Self {
        Self(None)
    }

    pub(super) fn from_stored(version: u64, text: &str) -> serde_json::Result<Self> {
        parse_stored(version, text).map(Some).map(Self)
    }

    /// What it has come to; nothing before its first event.
    pub(super) fn into_stored(self) -> Option<StoredAggregate<A>> {
        self.0
    }

    fn advance(&mut self, event: &RawEnvelope) -> &mut StoredAggregate<A> {
        let kept = self.0.get_or_insert_with(|| StoredAggregate {
            version: 0,
            created_at: event.recorded_at,
            created_by: event.metadata.user_id.clone(),
            updated_at: event.recorded_at,
            updated_by: String::new(),
            state: A::default(),
        });
        kept.version = event.sequence;
        kept.updated_at = event.recorded_at;
        kept.updated_by.clone_from(&event.metadata.user_id);
        kept
    }
}

impl<A: TenantAggregate> AggregateFold for FoldedStream<A> {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let happened = event.decode().map_err(ProjectionError::poison)?;
        self.advance(event).state.apply(happened);
        Ok(())
    }

    fn skip_event(&mut self, event: &RawEnvelope) {
        self.advance(event);
    }

    fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.version)
    }

    fn created_at_millis(&self) -> i64 {
        self.0.as_ref().map_or(0, |kept| kept.created_at.timestamp_millis())
    }

    fn groups(&self) -> Vec<ListGroup> {
        self.0.as_ref().map_or_else(Vec::new, |kept| kept.state.groups())
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.0)
    }
}

/// Reads what is stored of a stream.
pub(super) fn parse_stored<A: DeserializeOwned>(version: u64, text: &str) -> serde_json::Result<StoredAggregate<A>> {
    let kept: StoredAggregate<A> = serde_json::from_str(text)?;
    Ok(StoredAggregate { version, ..kept })
}
