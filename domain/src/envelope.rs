//! The envelope: what the log records about an event besides its payload.
//!
//! On Kafka the payload is the record's value, the aggregate id its key, and the rest are headers. Both directions of
//! that mapping are implemented here, so that the relay and the projections cannot disagree.

mod header;
mod partition_end;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    header::{HeaderError, from_headers, to_headers},
    partition_end::{INCARNATION_HEADER, ORDINAL_HEADER, PartitionEnd, WATERMARK_HEADER},
};
use crate::upcast::{self, UpcastError};

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<E> {
    /// Its position in the log: unique, increasing, with gaps.
    pub position: u64,
    /// Its identity, the same in every store.
    pub event_id: Uuid,
    /// Whose data it is.
    pub tenant_id: String,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: String,
    /// Its number within the stream, from 1 without gaps.
    pub sequence: u64,
    /// The event's name, e.g. `opportunity.discovered`.
    pub event_type: String,
    /// The version of the event's shape, e.g. `1.0`.
    pub event_version: String,
    /// When it was appended.
    pub recorded_at: DateTime<Utc>,
    /// Who and what caused it.
    pub metadata: EventMetadata,
    /// The event itself.
    pub payload: E,
}

/// A recorded event whose payload is still JSON text.
pub type RawEnvelope = Envelope<String>;

/// A payload that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("decoding {event_type} {event_version} at position {position} (event {event_id})")]
pub struct EventDecodeError {
    /// Where in the log.
    pub position: u64,
    /// Which event.
    pub event_id: Uuid,
    /// The name it carries.
    pub event_type: String,
    /// The version it carries.
    pub event_version: String,
    /// What the decoder found.
    #[source]
    pub source: Box<UpcastError>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMetadata {
    /// Whose data the event is; empty means [`PUBLIC_TENANT`](crate::value::PUBLIC_TENANT).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant_id: String,
    /// Correlation id: shared by everything that one request causes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correlation_id: String,
    /// The command or event that led to this one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub causation_id: String,
    /// Who asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// W3C trace context.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
    /// The client's idempotency key of the command. Kept in the log only; copies on Kafka do not carry it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub idempotency_key: String,
    /// Digest of the request, by which a repetition is told from another request with the same `idempotency_key`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command_digest: String,
    /// Whether the fact is about something that was not on record when it was sent, such as a view of an unknown
    /// opportunity. It is recorded, but figures that are kept for ever do not count it: clients could invent such ids
    /// without limit.
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
