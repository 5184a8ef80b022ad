//! One Kafka record as a worker sees it.

use domain::envelope::{HeaderError, RawRecorded, from_headers};
use rdkafka::message::{Headers, Message};

/// The header that every event carries and that watermark beacons do not.
const EVENT_TYPE: &str = "event-type";

/// A record, its place, and the event in it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// `None` for a record that is no event.
    pub(super) event: Result<Option<RawRecorded>, HeaderError>,
}

impl Delivery {
    pub(super) fn of(message: &impl Message) -> Self {
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            event: event(message),
        }
    }
}

fn event(message: &impl Message) -> Result<Option<RawRecorded>, HeaderError> {
    let header = |name: &str| {
        let headers = message.headers()?;
        headers.iter().find(|header| header.key == name)?.value
    };
    if header(EVENT_TYPE).is_none() {
        return Ok(None);
    }
    from_headers(header, message.key().unwrap_or_default(), message.payload().unwrap_or_default()).map(Some)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders, OwnedMessage},
    };

    use super::*;

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

    #[test]
    fn a_value_that_is_no_text_is_an_error() {
        assert_eq!(Delivery::of(&record(&WHOLE, &[0xff])).event, Err(HeaderError::NotText("value")));
    }
}
