//! A Kafka record as a worker consumes it.

use std::collections::BTreeMap;

use domain::envelope::{
    Envelope, EventMetadata, HeaderError, PartitionProgress, RawEnvelope, from_headers, to_headers,
};
use rdkafka::message::{Headers, Message};
use schemas::{
    registry_client::{RegistryClientError, SchemaRegistryClient},
    wire_format::split_frame,
};
use uuid::Uuid;

use super::ProjectionError;
use crate::error::BoxedError;

/// The header that every event has and beacons do not.
const EVENT_TYPE_HEADER: &str = "event-type";

/// The aggregate type of a placeholder event, for a record without the header `aggregate-type`.
const UNKNOWN_AGGREGATE_TYPE: &str = "unknown";

/// A record with its topic, partition and offset, and the event in it.
#[derive(Debug)]
pub(super) struct ConsumedRecord {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The record's watermark, ordinal and incarnation.
    pub(super) partition_progress: PartitionProgress,
    /// `None` for a beacon. The payload is empty until [`Self::decode_event`].
    pub(super) event: Option<RawEnvelope>,
    /// Why the headers or the value cannot be decoded.
    pub(super) decode_error: Option<ProjectionError>,
    /// The record's value, until [`Self::decode_event`].
    encoded_payload: Option<Vec<u8>>,
    /// Length of key and value, in bytes.
    pub(super) bytes: usize,
}

/// A record as a dead letter stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawRecord {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) value: Vec<u8>,
}

/// A record's value that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("decoding {event_type} {event_version} at position {position} (event {event_id})")]
struct PayloadDecodeError {
    position: u64,
    event_id: Uuid,
    event_type: String,
    event_version: String,
    #[source]
    source: BoxedError,
}

/// An event's record with missing or invalid headers.
#[derive(Debug, thiserror::Error)]
#[error("reading the headers of the record at {topic} partition {partition} offset {offset}")]
struct EnvelopeError {
    topic: String,
    partition: i32,
    offset: i64,
    #[source]
    source: HeaderError,
}

impl ConsumedRecord {
    pub(super) fn from_message(message: &impl Message) -> Self {
        // Each access to a header is a call of the client library: they are read once.
        let headers: Vec<_> = message.headers().map(|headers| headers.iter().collect()).unwrap_or_default();
        let header = |name: &str| headers.iter().find(|header| header.key == name)?.value;
        let (topic, partition, offset) = (message.topic().to_owned(), message.partition(), message.offset());
        let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
        let bytes = key.len() + value.len();
        let is_event = header(EVENT_TYPE_HEADER).is_some();
        let decoded = PartitionProgress::from_headers(header).and_then(|partition_progress| {
            let event = is_event.then(|| from_headers(header, key, b"")).transpose()?;
            Ok((partition_progress, event))
        });
        let encoded_payload = is_event.then(|| value.to_vec());
        match decoded {
            Ok((partition_progress, event)) => {
                Self { topic, partition, offset, partition_progress, event, decode_error: None, encoded_payload, bytes }
            }
            Err(source) => {
                let event = is_event.then(|| placeholder_event(header, key, &topic, partition, offset));
                let error = EnvelopeError { topic: topic.clone(), partition, offset, source };
                Self {
                    topic,
                    partition,
                    offset,
                    partition_progress: PartitionProgress::default(),
                    event,
                    decode_error: Some(ProjectionError::poison(error)),
                    encoded_payload,
                    bytes,
                }
            }
        }
    }

    /// Wraps an event that was read from the log instead of Kafka; its offset is -1.
    pub(super) fn from_log(topic: String, partition: i32, event: RawEnvelope) -> Self {
        let partition_progress = PartitionProgress { watermark: event.position, ..PartitionProgress::default() };
        let bytes = event.payload.len();
        Self {
            topic,
            partition,
            offset: -1,
            partition_progress,
            event: Some(event),
            decode_error: None,
            encoded_payload: None,
            bytes,
        }
    }

    /// The event of a stored record, without its payload.
    pub(super) fn read_raw_event(key: &str, raw_record: &RawRecord) -> Result<RawEnvelope, HeaderError> {
        from_headers(|name| raw_record.headers.get(name).map(String::as_bytes), key.as_bytes(), b"")
    }

    /// The record as a dead letter stores it, so that it can be decoded again later.
    pub(super) fn to_raw_record(&self) -> RawRecord {
        let Some(event) = &self.event else { return RawRecord { headers: BTreeMap::new(), value: vec![] } };
        let headers = to_headers(event).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let value = self.encoded_payload.clone().unwrap_or_else(|| event.payload.clone().into_bytes());
        RawRecord { headers, value }
    }

    /// Decodes the record's value into the event's payload; fetches unknown schemas from the registry.
    ///
    /// A value that cannot be decoded sets the record's decode error.
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`] when the registry does not answer.
    pub(super) async fn decode_event(&mut self, registry: &SchemaRegistryClient) -> Result<(), ProjectionError> {
        let (Some(event), Some(encoded), None) = (&mut self.event, &self.encoded_payload, &self.decode_error) else {
            return Ok(());
        };
        match decode_payload(event, encoded, registry).await {
            Ok(payload) => {
                event.payload = payload;
                self.encoded_payload = None;
                Ok(())
            }
            Err(error @ ProjectionError::Unavailable(_)) => Err(error),
            Err(error @ (ProjectionError::Poison(_) | ProjectionError::Rejected(_))) => {
                self.decode_error = Some(error);
                Ok(())
            }
        }
    }
}

/// Stands for an event whose headers cannot be decoded, so that it can be parked in the stream of the record's key.
fn placeholder_event<'a>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    key: &[u8],
    topic: &str,
    partition: i32,
    offset: i64,
) -> RawEnvelope {
    let text = |name: &str| header(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Envelope {
        position: 0,
        event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{topic}/{partition}/{offset}").as_bytes()),
        tenant_id: String::new(),
        aggregate_type: text("aggregate-type").unwrap_or_else(|| UNKNOWN_AGGREGATE_TYPE.to_owned()),
        aggregate_id: String::from_utf8_lossy(key).into_owned(),
        sequence: 0,
        event_type: text(EVENT_TYPE_HEADER).unwrap_or_default(),
        event_version: String::new(),
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        metadata: EventMetadata::default(),
        payload: String::new(),
    }
}

/// Decodes a record's value.
///
/// # Errors
/// [`ProjectionError::Unavailable`] when the registry does not answer, [`ProjectionError::Poison`] when the value
/// cannot be decoded.
pub(super) async fn decode_payload(
    event: &RawEnvelope,
    encoded: &[u8],
    registry: &SchemaRegistryClient,
) -> Result<String, ProjectionError> {
    match decode_value(encoded, registry).await {
        Ok(payload) => Ok(payload),
        Err(ValueDecodeError::RegistryUnavailable(error)) => Err(ProjectionError::unavailable(error)),
        Err(ValueDecodeError::Unreadable(source)) => Err(ProjectionError::poison(PayloadDecodeError {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            source,
        })),
    }
}

/// Why a value was not decoded.
enum ValueDecodeError {
    /// The registry did not return the schema.
    RegistryUnavailable(RegistryClientError),
    /// The value does not match its schema or the wire format.
    Unreadable(BoxedError),
}

async fn decode_value(encoded: &[u8], registry: &SchemaRegistryClient) -> Result<String, ValueDecodeError> {
    let unreadable = |error: BoxedError| ValueDecodeError::Unreadable(error);
    // Topics retain plain JSON that earlier releases published. The wire format starts with a zero byte instead.
    if encoded.first() == Some(&b'{') {
        return std::str::from_utf8(encoded).map(str::to_owned).map_err(|error| unreadable(error.into()));
    }
    let (id, datum) = split_frame(encoded).map_err(|error| unreadable(error.into()))?;
    let decoder = match registry.load_decoder(id).await {
        Ok(decoder) => decoder,
        Err(error @ RegistryClientError::Rejected { .. }) => return Err(ValueDecodeError::RegistryUnavailable(error)),
        Err(error @ RegistryClientError::Schema { .. }) => return Err(unreadable(error.into())),
    };
    decoder.decode_to_json(datum).map_err(|error| unreadable(error.into()))
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders, OwnedMessage},
    };

    use schemas::registry_client::RegistryConfig;

    use super::*;
    use crate::runtime::error::format_limited_chain;

    const COMPLETE_HEADERS: [(&str, &str); 8] = [
        ("position", "42"),
        ("event-id", "00000000-0000-0000-0000-000000000007"),
        ("tenant-id", "public"),
        ("aggregate-type", "opportunity"),
        ("sequence", "3"),
        ("event-type", "opportunity.awarded"),
        ("schema-version", "1.0"),
        ("recorded-at", "2026-03-03T12:17:50.808123Z"),
    ];

    fn record(headers: &[(&str, &str)], value: &[u8]) -> OwnedMessage {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let timestamp = Timestamp::NotAvailable;
        OwnedMessage::new(Some(value.to_vec()), Some(b"097:X".to_vec()), "t".into(), timestamp, 1, 9, Some(headers))
    }

    #[test]
    fn a_record_with_all_headers_is_an_event() {
        let consumed = ConsumedRecord::from_message(&record(&COMPLETE_HEADERS, b"{}"));
        let event = consumed.event.unwrap();
        assert_eq!((event.position, event.sequence, event.aggregate_id.as_str()), (42, 3, "097:X"));
        assert_eq!((consumed.topic.as_str(), consumed.partition, consumed.offset), ("t", 1, 9));
    }

    #[test]
    fn a_record_without_an_event_type_is_a_beacon() {
        let beacon = ConsumedRecord::from_message(&record(&[("watermark", "9")], b""));
        assert_eq!((beacon.event, beacon.partition_progress.watermark), (None, 9));
    }

    #[test]
    fn a_record_without_a_required_header_belongs_to_the_stream_of_its_key() {
        let consumed = ConsumedRecord::from_message(&record(&COMPLETE_HEADERS[1..], b"{}"));
        let error = format_limited_chain(&consumed.decode_error.unwrap());
        assert!(error.contains("at t partition 1 offset 9: header position is missing"), "{error}");
        let event = consumed.event.unwrap();
        assert_eq!((event.aggregate_type.as_str(), event.aggregate_id.as_str()), ("opportunity", "097:X"));
    }

    #[test]
    fn a_stored_record_is_read_as_the_same_event() {
        let consumed = ConsumedRecord::from_message(&record(&COMPLETE_HEADERS, b"{}"));
        let raw_record = consumed.to_raw_record();
        assert_eq!(raw_record.value, b"{}");
        assert_eq!(ConsumedRecord::read_raw_event("097:X", &raw_record).unwrap(), consumed.event.unwrap());
    }

    /// A registry on a port without a listener.
    fn unreachable_registry() -> SchemaRegistryClient {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        SchemaRegistryClient::new(&RegistryConfig {
            url: format!("http://127.0.0.1:{port}"),
            ..RegistryConfig::default()
        })
        .unwrap()
    }

    async fn decoded_payload(value: &[u8]) -> Result<String, ProjectionError> {
        let mut consumed = ConsumedRecord::from_message(&record(&COMPLETE_HEADERS, value));
        consumed.decode_event(&unreachable_registry()).await?;
        match consumed.decode_error {
            Some(error) => Err(error),
            None => Ok(consumed.event.unwrap().payload),
        }
    }

    #[tokio::test]
    async fn plain_json_of_an_earlier_release_is_decoded() {
        assert_eq!(decoded_payload(br#"{"type":"awarded"}"#).await.unwrap(), r#"{"type":"awarded"}"#);
    }

    #[tokio::test]
    async fn decoding_is_unavailable_while_the_registry_is_unreachable() {
        let error = decoded_payload(&[0, 0, 0, 0, 7, 1, 2]).await.unwrap_err();
        assert!(matches!(error, ProjectionError::Unavailable(_)), "{error:?}");
        assert!(format_limited_chain(&error).contains("for schema 7"), "{}", format_limited_chain(&error));
    }

    #[tokio::test]
    async fn the_error_of_an_undecodable_value_names_event_and_position() {
        for value in [&[0xff][..], &[0, 1], b"", b"{\xff", b"text"] {
            let error = decoded_payload(value).await.unwrap_err();
            assert!(matches!(error, ProjectionError::Poison(_)), "{error:?}");
            assert!(
                format_limited_chain(&error).contains("decoding opportunity.awarded 1.0 at position 42"),
                "{}",
                format_limited_chain(&error)
            );
        }
    }

    #[tokio::test]
    async fn a_beacon_is_not_decoded() {
        let mut beacon = ConsumedRecord::from_message(&record(&[("watermark", "9")], b""));
        beacon.decode_event(&unreachable_registry()).await.unwrap();
        assert!(beacon.decode_error.is_none() && beacon.event.is_none());
    }
}
