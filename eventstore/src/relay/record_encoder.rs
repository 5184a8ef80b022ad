//! Encodes events as Kafka records: the payload in Avro, the envelope in headers.

use domain::envelope::{INCARNATION_HEADER, NumberText, ORDINAL_HEADER, RawEnvelope, visit_headers};
use rdkafka::message::{Header, OwnedHeaders};
use schemas::{catalog::EventSchema, registry_client::SchemaRegistryClient, wire_format};

use crate::error::LogError;

/// Encodes payloads as record values.
pub(super) struct RecordEncoder {
    registry: SchemaRegistryClient,
    /// The schemas of the events that can be encoded.
    schemas: &'static [EventSchema],
    /// The schemas used so far, with their ids; few enough for a linear search.
    schema_ids: Vec<(&'static EventSchema, u32)>,
    value: Vec<u8>,
}

impl RecordEncoder {
    pub(super) fn new(registry: SchemaRegistryClient, schemas: &'static [EventSchema]) -> Self {
        Self { registry, schemas, schema_ids: Vec::new(), value: Vec::new() }
    }

    /// Encodes the value of an event's record into a buffer that the next call overwrites.
    pub(super) async fn encode(&mut self, event: &RawEnvelope) -> Result<&[u8], LogError> {
        let (schema, id) = self.resolve_schema(event).await?;
        self.value.clear();
        wire_format::write_frame(id, &mut self.value);
        schema.encode(&event.payload, &mut self.value).map_err(|source| LogError::SchemaMismatch {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            version: event.event_version.clone(),
            source,
        })?;
        Ok(&self.value)
    }

    async fn resolve_schema(&mut self, event: &RawEnvelope) -> Result<(&'static EventSchema, u32), LogError> {
        let is_schema_of_event = |schema: &&'static EventSchema| {
            schema.event_type == event.event_type.as_str() && schema.version == event.event_version.as_str()
        };
        if let Some(known) = self.schema_ids.iter().find(|(schema, _)| is_schema_of_event(schema)) {
            return Ok(*known);
        }
        let schema = self.schemas.iter().find(is_schema_of_event).ok_or_else(|| LogError::UnknownEvent {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            version: event.event_version.clone(),
        })?;
        let id = self.registry.resolve_schema_id(schema).await.map_err(|source| LogError::Registry {
            position: event.position,
            event_id: event.event_id,
            source: Box::new(source),
        })?;
        self.schema_ids.push((schema, id));
        Ok((schema, id))
    }
}

/// Number of headers of most records: those of the envelope, the incarnation, and the ordinal.
const HEADERS: usize = 14;

/// Builds the headers of an event's record.
pub(super) fn event_headers(event: &RawEnvelope, incarnation: &str, ordinal: u64) -> OwnedHeaders {
    // The visitor cannot take the headers by value, as `insert` does.
    let mut headers = Some(OwnedHeaders::new_with_capacity(HEADERS));
    visit_headers(event, |name, value| {
        headers = headers.take().map(|headers| insert_header(headers, name, value));
    });
    let headers = headers.unwrap_or_default();
    let headers = insert_header(headers, INCARNATION_HEADER, incarnation);
    insert_header(headers, ORDINAL_HEADER, NumberText::new(ordinal).as_str())
}

/// Builds the headers of a beacon.
pub(super) fn build_headers(pairs: &[(&'static str, String)]) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(pairs.len());
    pairs.iter().fold(headers, |headers, (key, value)| insert_header(headers, key, value))
}

fn insert_header(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}
