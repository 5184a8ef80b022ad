//! Converts the envelope to and from Kafka headers.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Envelope, EventMetadata, RawEnvelope};
use crate::time_text;

pub(super) const POSITION: &str = "position";
pub(super) const EVENT_ID: &str = "event-id";
const TENANT_ID: &str = "tenant-id";
const AGGREGATE_TYPE: &str = "aggregate-type";
const SEQUENCE: &str = "sequence";
const EVENT_TYPE: &str = "event-type";
const EVENT_VERSION: &str = "schema-version";
const RECORDED_AT: &str = "recorded-at";
const CORRELATION_ID: &str = "correlation-id";
const CAUSATION_ID: &str = "causation-id";
const USER_ID: &str = "user-id";
const TRACEPARENT: &str = "traceparent";
const ABOUT_UNKNOWN: &str = "about-unknown";

/// A record whose headers, key or value do not form an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// The header is present but its value is invalid.
    #[error("header {name} has the invalid value {value:?}")]
    Invalid {
        /// The header's name.
        name: &'static str,
        /// The header's value.
        value: String,
    },
    /// The record's value or key is not text.
    #[error("the record's {0} is not UTF-8")]
    NotText(&'static str),
}

/// The headers of a recorded event, in a fixed order and without empty ones.
pub fn to_headers<E>(event: &Envelope<E>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    visit_headers(event, |name, value| headers.push((name, value.to_owned())));
    headers
}

/// Passes each header of [`to_headers`] to `visit`, without a copy of it.
pub fn visit_headers<E>(event: &Envelope<E>, mut visit: impl FnMut(&'static str, &str)) {
    visit(POSITION, NumberText::new(event.position).as_str());
    visit(EVENT_ID, event.event_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    visit(TENANT_ID, &event.tenant_id);
    visit(AGGREGATE_TYPE, &event.aggregate_type);
    visit(SEQUENCE, NumberText::new(event.sequence).as_str());
    visit(EVENT_TYPE, &event.event_type);
    visit(EVENT_VERSION, &event.event_version);
    let mut recorded_at = String::with_capacity(27);
    time_text::write_time_micros(event.recorded_at, &mut recorded_at);
    visit(RECORDED_AT, &recorded_at);
    if event.metadata.about_unknown {
        visit(ABOUT_UNKNOWN, "true");
    }
    let optional = [
        (CORRELATION_ID, &event.metadata.correlation_id),
        (CAUSATION_ID, &event.metadata.causation_id),
        (USER_ID, &event.metadata.user_id),
        (TRACEPARENT, &event.metadata.traceparent),
    ];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        visit(name, value);
    }
}

/// Decimal text of a number, without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct NumberText {
    digits: [u8; Self::LENGTH],
    start: usize,
}

impl NumberText {
    /// Digits of the largest number.
    const LENGTH: usize = 20;

    /// The text of `number`.
    pub fn new(number: u64) -> Self {
        let (mut digits, mut start, mut rest) = ([b'0'; Self::LENGTH], Self::LENGTH, number);
        while let Some(place) = start.checked_sub(1).and_then(|place| digits.get_mut(place)) {
            // A remainder of a division by ten is one digit.
            *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            (rest, start) = (rest / 10, start - 1);
            if rest == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(self.start..).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// Rebuilds a recorded event from the headers, key and value of a Kafka record.
///
/// # Errors
/// [`HeaderError`] naming the first header that is missing or invalid.
pub fn from_headers<'a>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    key: &[u8],
    value: &[u8],
) -> Result<RawEnvelope, HeaderError> {
    let optional = |name: &'static str| header_text(name, header(name).unwrap_or_default());
    let required = |name: &'static str| match header(name) {
        None => Err(HeaderError::Missing(name)),
        Some(bytes) => header_text(name, bytes),
    };
    let tenant_id = required(TENANT_ID)?.to_owned();
    Ok(Envelope {
        position: parse_value(POSITION, required(POSITION)?)?,
        event_id: parse_value(EVENT_ID, required(EVENT_ID)?)?,
        tenant_id: tenant_id.clone(),
        aggregate_type: required(AGGREGATE_TYPE)?.to_owned(),
        aggregate_id: header_text("key", key)?.to_owned(),
        sequence: parse_value(SEQUENCE, required(SEQUENCE)?)?,
        event_type: required(EVENT_TYPE)?.to_owned(),
        event_version: required(EVENT_VERSION)?.to_owned(),
        recorded_at: parse_recorded_at(required(RECORDED_AT)?)?,
        metadata: EventMetadata {
            tenant_id,
            correlation_id: optional(CORRELATION_ID)?.to_owned(),
            causation_id: optional(CAUSATION_ID)?.to_owned(),
            user_id: optional(USER_ID)?.to_owned(),
            traceparent: optional(TRACEPARENT)?.to_owned(),
            about_unknown: optional(ABOUT_UNKNOWN)? == "true",
            // Idempotency is checked against the log, so copies on Kafka do not carry the key.
            ..EventMetadata::default()
        },
        payload: header_text("value", value)?.to_owned(),
    })
}

pub(super) fn parse_header<T: FromStr>(name: &'static str, bytes: &[u8]) -> Result<T, HeaderError> {
    parse_value(name, header_text(name, bytes)?)
}

fn header_text<'a>(name: &'static str, bytes: &'a [u8]) -> Result<&'a str, HeaderError> {
    std::str::from_utf8(bytes).map_err(|_| HeaderError::NotText(name))
}

fn parse_value<T: FromStr>(name: &'static str, value: &str) -> Result<T, HeaderError> {
    value.parse().map_err(|_| HeaderError::Invalid { name, value: value.to_owned() })
}

fn parse_recorded_at(value: &str) -> Result<DateTime<Utc>, HeaderError> {
    time_text::parse_time(value).ok_or_else(|| HeaderError::Invalid { name: RECORDED_AT, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 99, 1_000, 123_456_789, u64::MAX] {
            assert_eq!(NumberText::new(number).as_str(), number.to_string());
        }
    }

    fn recorded() -> RawEnvelope {
        Envelope {
            position: 42,
            event_id: Uuid::from_u128(7),
            tenant_id: "public".into(),
            aggregate_type: "opportunity".into(),
            aggregate_id: "097:X".into(),
            sequence: 3,
            event_type: "opportunity.amended".into(),
            event_version: "1.0".into(),
            recorded_at: "2026-03-03T12:17:50.808123Z".parse().unwrap(),
            metadata: EventMetadata {
                tenant_id: "public".into(),
                correlation_id: "c".into(),
                about_unknown: true,
                ..EventMetadata::default()
            },
            payload: "{}".into(),
        }
    }

    #[test]
    fn an_envelope_is_equal_after_conversion_to_headers_and_back() {
        let event = recorded();
        let headers: HashMap<_, _> = to_headers(&event).into_iter().collect();
        let back = from_headers(|name| headers.get(name).map(String::as_bytes), b"097:X", b"{}").unwrap();
        assert_eq!(back, event);
    }

    #[test]
    fn the_error_names_a_missing_header() {
        let event = recorded();
        let headers: HashMap<_, _> = to_headers(&event).into_iter().filter(|(name, _)| *name != SEQUENCE).collect();
        let error = from_headers(|name| headers.get(name).map(String::as_bytes), b"k", b"{}").unwrap_err();
        assert_eq!(error, HeaderError::Missing("sequence"));
    }
}
