//! One Kafka record as a worker sees it.

use domain::envelope::{HeaderError, RawRecorded, from_headers};
use rdkafka::message::{Headers, Message};
use schemas::{
    registry::{Registry, RegistryError},
    wire::unframe,
};

use super::ProjectionError;
use crate::error::Source;

/// The header that every event carries and that watermark beacons do not.
const EVENT_TYPE: &str = "event-type";

/// A record, its place, and the event in it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// `None` for a record that is no event. The payload is empty until it is unpacked.
    pub(super) event: Result<Option<RawRecorded>, HeaderError>,
    /// The payload as it travelled, until it is unpacked.
    packed: Option<Vec<u8>>,
}

/// A record's value that nobody can read.
#[derive(Debug, thiserror::Error)]
#[error("unpacking {event_type} {event_version} at position {position} (event {event_id})")]
struct UnpackError {
    position: u64,
    event_id: uuid::Uuid,
    event_type: String,
    event_version: String,
    #[source]
    source: Source,
}

impl Delivery {
    pub(super) fn of(message: &impl Message) -> Self {
        let event = event(message);
        let packed = matches!(event, Ok(Some(_))).then(|| message.payload().unwrap_or_default().to_vec());
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            event,
            packed,
        }
    }

    /// Turns the record's value into the event's payload; asks the registry for a schema that is new to it.
    pub(super) async fn unpack(&mut self, registry: &Registry) -> Result<(), ProjectionError> {
        let (Ok(Some(event)), Some(packed)) = (&mut self.event, &self.packed) else { return Ok(()) };
        let payload = match payload(packed, registry).await {
            Ok(payload) => payload,
            Err(Failure::Away(error)) => return Err(ProjectionError::unavailable(error)),
            Err(Failure::Unreadable(source)) => {
                return Err(ProjectionError::poison(UnpackError {
                    position: event.position,
                    event_id: event.event_id,
                    event_type: event.event_type.clone(),
                    event_version: event.event_version.clone(),
                    source,
                }));
            }
        };
        event.payload = payload;
        self.packed = None;
        Ok(())
    }
}

/// Why a value was not unpacked.
enum Failure {
    /// The registry did not say which schema it was written with.
    Away(RegistryError),
    /// It is not what it should be.
    Unreadable(Source),
}

async fn payload(packed: &[u8], registry: &Registry) -> Result<String, Failure> {
    let unreadable = |error: Source| Failure::Unreadable(error);
    // Topics keep what earlier versions of this program published: plain JSON. The wire format begins with a zero.
    if packed.first() == Some(&b'{') {
        return std::str::from_utf8(packed).map(str::to_owned).map_err(|error| unreadable(error.into()));
    }
    let (id, datum) = unframe(packed).map_err(|error| unreadable(error.into()))?;
    let decoder = match registry.decoder(id).await {
        Ok(decoder) => decoder,
        Err(error @ RegistryError::Refused { .. }) => return Err(Failure::Away(error)),
        Err(error @ RegistryError::Schema { .. }) => return Err(unreadable(error.into())),
    };
    decoder.to_json(datum).map_err(|error| unreadable(error.into()))
}

fn event(message: &impl Message) -> Result<Option<RawRecorded>, HeaderError> {
    let header = |name: &str| {
        let headers = message.headers()?;
        headers.iter().find(|header| header.key == name)?.value
    };
    if header(EVENT_TYPE).is_none() {
        return Ok(None);
    }
    from_headers(header, message.key().unwrap_or_default(), b"").map(Some)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders, OwnedMessage},
    };

    use schemas::registry::RegistryConfig;

    use super::*;
    use crate::runtime::error::chain;

    const WHOLE: [(&str, &str); 8] = [
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
    fn a_whole_record_is_an_event() {
        let delivery = Delivery::of(&record(&WHOLE, b"{}"));
        let event = delivery.event.unwrap().unwrap();
        assert_eq!((event.position, event.sequence, event.aggregate_id.as_str()), (42, 3, "097:X"));
        assert_eq!((delivery.topic.as_str(), delivery.partition, delivery.offset), ("t", 1, 9));
    }

    #[test]
    fn a_record_without_an_event_type_is_no_event() {
        assert_eq!(Delivery::of(&record(&[("watermark", "9")], b"")).event, Ok(None));
    }

    #[test]
    fn a_record_that_lacks_a_header_is_an_error() {
        let delivery = Delivery::of(&record(&WHOLE[1..], b"{}"));
        assert_eq!(delivery.event, Err(HeaderError::Missing("position")));
    }

    /// A registry on a port where nobody listens.
    fn away() -> Registry {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Registry::new(&RegistryConfig { url: format!("http://127.0.0.1:{port}") })
    }

    async fn unpacked(value: &[u8]) -> Result<String, ProjectionError> {
        let mut delivery = Delivery::of(&record(&WHOLE, value));
        delivery.unpack(&away()).await?;
        Ok(delivery.event.unwrap().unwrap().payload)
    }

    #[tokio::test]
    async fn json_of_an_earlier_version_is_still_read() {
        assert_eq!(unpacked(br#"{"type":"awarded"}"#).await.unwrap(), r#"{"type":"awarded"}"#);
    }

    #[tokio::test]
    async fn a_registry_that_is_away_is_waited_for() {
        let error = unpacked(&[0, 0, 0, 0, 7, 1, 2]).await.unwrap_err();
        assert!(matches!(error, ProjectionError::Unavailable(_)), "{error:?}");
        assert!(chain(&error).contains("for schema 7"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn a_value_that_nobody_can_read_names_event_and_position() {
        for value in [&[0xff][..], &[0, 1], b"", b"{\xff", b"text"] {
            let error = unpacked(value).await.unwrap_err();
            assert!(matches!(error, ProjectionError::Poison(_)), "{error:?}");
            assert!(chain(&error).contains("unpacking opportunity.awarded 1.0 at position 42"), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_record_that_is_no_event_has_nothing_to_unpack() {
        let mut beacon = Delivery::of(&record(&[("watermark", "9")], b""));
        beacon.unpack(&away()).await.unwrap();
        assert_eq!(beacon.event, Ok(None));
    }
}
