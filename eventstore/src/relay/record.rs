//! An event as a Kafka record: its value in Avro, its envelope in headers.

use domain::envelope::{INCARNATION, ORDINAL, RawRecorded, to_headers};
use rdkafka::message::{Header, OwnedHeaders};
use schemas::{
    catalog::{self, EventSchema},
    registry::Registry,
    wire,
};

use crate::error::LogError;

/// Turns payloads into the values of records.
pub(super) struct Encoder {
    registry: Registry,
    /// The schemas met so far, with their ids. There are as many as there are kinds of events: a walk is fast.
    known: Vec<(&'static EventSchema, u32)>,
    value: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, known: Vec::new(), value: Vec::new() }
    }

    /// The value of an event's record; valid until the next call.
    pub(super) async fn encode(&mut self, event: &RawRecorded) -> Result<&[u8], LogError> {
        let (schema, id) = self.schema_of(event).await?;
        self.value.clear();
        wire::frame(id, &mut self.value);
        schema.encode(&event.payload, &mut self.value).map_err(|source| LogError::Misfit {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            version: event.event_version.clone(),
            source,
        })?;
        Ok(&self.value)
    }

    async fn schema_of(&mut self, event: &RawRecorded) -> Result<(&'static EventSchema, u32), LogError> {
        let fits = |schema: &EventSchema| {
            schema.event_type == event.event_type.as_str() && schema.version == event.event_version.as_str()
        };
        if let Some(known) = self.known.iter().find(|(schema, _)| fits(schema)) {
            return Ok(*known);
        }
        let schema = catalog::find(&event.event_type, &event.event_version).ok_or_else(|| LogError::UnknownEvent {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            version: event.event_version.clone(),
        })?;
        let id = self.registry.id_of(schema).await.map_err(|source| LogError::Registry {
            position: event.position,
            event_id: event.event_id,
            source: Box::new(source),
        })?;
        self.known.push((schema, id));
        Ok((schema, id))
    }
}

/// The headers of an event's record.
pub(super) fn headers(event: &RawRecorded, incarnation: &str, ordinal: u64) -> OwnedHeaders {
    let envelope = to_headers(event);
    let headers = OwnedHeaders::new_with_capacity(envelope.len() + 2);
    let headers = envelope.iter().fold(headers, |headers, (key, value)| insert(headers, key, value));
    let headers = insert(headers, INCARNATION, incarnation);
    insert(headers, ORDINAL, &ordinal.to_string())
}

/// The headers of a record that is no event.
pub(super) fn headers_of(pairs: &[(&'static str, String)]) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(pairs.len());
    pairs.iter().fold(headers, |headers, (key, value)| insert(headers, key, value))
}

fn insert(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}
