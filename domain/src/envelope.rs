//! The envelope: what the log records about an event besides its payload.
//!
//! On Kafka the payload is the record's value, the aggregate id its key, and the rest are headers. Both directions of
//! that mapping are implemented here, so that the relay and the projections cannot disagree.

mod header;
mod partition_progress;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    header::{HeaderError, NumberText, from_headers, to_headers, visit_headers},
    partition_progress::{INCARNATION_HEADER, ORDINAL_HEADER, PartitionProgress, WATERMARK_HEADER},
};
use crate::upcast::{self, UpcastError};

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<E> {
    /// The event's position in the log: unique, increasing, with gaps.
    pub position: u64,
    /// The event's id, the same in every store.
    pub event_id: Uuid,
    /// The tenant that owns the event.
    pub tenant_id: String,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// The id of the aggregate, which names its stream.
    pub aggregate_id: String,
    /// The event's number within the stream, from 1 without gaps.
    pub sequence: u64,
    /// The event's name, e.g. `opportunity.discovered`.
    pub event_type: String,
    /// The event's schema version, e.g. `1.0`.
    pub event_version: String,
    /// When the event was appended.
    pub recorded_at: DateTime<Utc>,
    /// Who and what caused the event.
    pub metadata: EventMetadata,
    /// The event.
    pub payload: E,
}

/// A recorded event whose payload is still JSON text.
pub type RawEnvelope = Envelope<String>;

/// A payload that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("decoding {event_type} {event_version} at position {position} (event {event_id})")]
pub struct EventDecodeError {
    /// The event's position in the log.
    pub position: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// The recorded event type.
    pub event_type: String,
    /// The recorded schema version.
    pub event_version: String,
    /// The decoder's error.
    #[source]
    pub source: Box<UpcastError>,
}

impl<E> Envelope<E> {
    /// The id of the aggregate within its tenant.
    pub fn local_id(&self) -> &str {
        let rest = self.aggregate_id.strip_prefix(self.tenant_id.as_str());
        rest.and_then(|rest| rest.strip_prefix(':')).unwrap_or(&self.aggregate_id)
    }
}

impl RawEnvelope {
    /// Decodes the payload, of any version, as an `E`.
    ///
    /// # Errors
    /// [`EventDecodeError`] with event and position, when type or version are unknown or the payload has another shape.
    pub fn decode<E: serde::de::DeserializeOwned>(&self) -> Result<E, EventDecodeError> {
        upcast::decode_event(&self.event_type, &self.event_version, &self.payload).map_err(|source| EventDecodeError {
            position: self.position,
            event_id: self.event_id,
            event_type: self.event_type.clone(),
            event_version: self.event_version.clone(),
            source: Box::new(source),
        })
    }
}

/// Who and what caused an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMetadata {
    /// The tenant that owns the event; empty means [`PUBLIC_TENANT`](crate::value::PUBLIC_TENANT).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant_id: String,
    /// Correlation id: shared by all events that one request causes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
    /// The command or event that caused this one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub causation_id: String,
    /// The user who sent the command.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// W3C trace context.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
    /// The client's idempotency key of the command. Stored in the log only; copies on Kafka do not carry it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub idempotency_key: String,
    /// Digest of the request; distinguishes a repetition from another request with the same `idempotency_key`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command_digest: String,
    /// Whether the fact refers to an object that did not exist when it was sent, such as a view of an unknown
    /// opportunity. The fact is recorded, but figures that are stored permanently do not count it: clients could invent
    /// such ids without limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub about_unknown: bool,
}

impl EventMetadata {
    /// Converts to the map that `cqrs-es` takes, without empty values. Leaves out `about_unknown`, which no command
    /// sets.
    pub fn into_map(self) -> HashMap<String, String> {
        [
            ("tenant_id", self.tenant_id),
            ("correlation_id", self.correlation_id),
            ("causation_id", self.causation_id),
            ("user_id", self.user_id),
            ("traceparent", self.traceparent),
            ("idempotency_key", self.idempotency_key),
            ("command_digest", self.command_digest),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
