//! Decodes rows of the log into envelopes.

use chrono::{DateTime, Utc};
use domain::envelope::{Envelope, EventMetadata, RawEnvelope};
use uuid::Uuid;

use super::copy_decoder::CopyRow;
use crate::error::{EventRowError, LogError};

/// Number of columns of [`SELECT_EVENTS`].
pub(super) const COLUMN_COUNT: usize = 11;
/// Selects the columns of an event in the order that [`decode_event_row`] expects.
pub(super) const SELECT_EVENTS: &str = "select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, \
                                 event_version, recorded_at, metadata, payload from events";
/// The epoch of Postgres' timestamps, 2000-01-01, in microseconds since 1970.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Decodes the event in a row.
///
/// # Errors
/// [`LogError::UnreadableEvent`] with the position and the id of the event, where these can be decoded.
pub(super) fn decode_event_row(row: &CopyRow<'_, COLUMN_COUNT>) -> Result<RawEnvelope, LogError> {
    // Decoded first, so that an error can name them.
    let position = decode_number("position", row[0]);
    let event_id = decode_uuid("event_id", row[1]);
    let identity = (position.as_ref().ok().copied(), event_id.as_ref().ok().copied());
    let unreadable = |source| LogError::UnreadableEvent { position: identity.0, event_id: identity.1, source };
    let event = || {
        let tenant_id = decode_text("tenant_id", row[2])?;
        let mut metadata = decode_metadata(require_value("metadata", row[9])?)?;
        if metadata.tenant_id != tenant_id {
            metadata.tenant_id.clone_from(&tenant_id);
        }
        Ok(Envelope {
            position: position?,
            event_id: event_id?,
            metadata,
            tenant_id,
            aggregate_type: decode_text("aggregate_type", row[3])?,
            aggregate_id: decode_text("aggregate_id", row[4])?,
            sequence: decode_number("sequence", row[5])?,
            event_type: decode_text("event_type", row[6])?,
            event_version: decode_text("event_version", row[7])?,
            recorded_at: decode_time("recorded_at", row[8])?,
            payload: decode_text("payload", row[10])?,
        })
    };
    event().map_err(unreadable)
}

fn decode_metadata(json: &[u8]) -> Result<EventMetadata, EventRowError> {
    // Serde would also accept an array for a struct.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(EventRowError::Malformed("metadata"));
    }
    serde_json::from_slice(json).map_err(EventRowError::Metadata)
}

fn require_value<'a>(name: &'static str, value: Option<&'a [u8]>) -> Result<&'a [u8], EventRowError> {
    value.ok_or(EventRowError::Null(name))
}

fn decode_text(name: &'static str, value: Option<&[u8]>) -> Result<String, EventRowError> {
    std::str::from_utf8(require_value(name, value)?).map(str::to_owned).map_err(|_| EventRowError::Malformed(name))
}

fn decode_bytes<const L: usize>(name: &'static str, value: Option<&[u8]>) -> Result<[u8; L], EventRowError> {
    require_value(name, value)?.try_into().map_err(|_| EventRowError::Malformed(name))
}

fn decode_number(name: &'static str, value: Option<&[u8]>) -> Result<u64, EventRowError> {
    u64::try_from(i64::from_be_bytes(decode_bytes(name, value)?)).map_err(|_| EventRowError::Malformed(name))
}

fn decode_uuid(name: &'static str, value: Option<&[u8]>) -> Result<Uuid, EventRowError> {
    decode_bytes(name, value).map(Uuid::from_bytes)
}

fn decode_time(name: &'static str, value: Option<&[u8]>) -> Result<DateTime<Utc>, EventRowError> {
    let micros = i64::from_be_bytes(decode_bytes(name, value)?);
    // The timestamps `infinity` and `-infinity` overflow; no event has them.
    micros
        .checked_add(POSTGRES_EPOCH_MICROS)
        .and_then(DateTime::from_timestamp_micros)
        .ok_or(EventRowError::Malformed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: [u8; 8] = 42_i64.to_be_bytes();
    const EVENT: [u8; 16] = [7; 16];
    /// 2026-03-03T12:17:50.808123Z
    const TIME: [u8; 8] = (1_772_540_270_808_123 - POSTGRES_EPOCH_MICROS).to_be_bytes();

    fn sample_row() -> CopyRow<'static, COLUMN_COUNT> {
        [
            Some(&POSITION),
            Some(&EVENT),
            Some(b"acme"),
            Some(b"opportunity"),
            Some(b"097:X"),
            Some(&[0, 0, 0, 0, 0, 0, 0, 3]),
            Some(b"opportunity.amended"),
            Some(b"1.0"),
            Some(&TIME),
            Some(br#"{"tenant_id":"acme","user_id":"u"}"#),
            Some(b"{ }"),
        ]
    }

    fn decode_failure(column: usize, value: Option<&'static [u8]>) -> LogError {
        let mut row = sample_row();
        row[column] = value;
        decode_event_row(&row).unwrap_err()
    }

    #[test]
    fn a_row_becomes_an_event() {
        let event = decode_event_row(&sample_row()).unwrap();
        assert_eq!(
            event,
            Envelope {
                position: 42,
                event_id: Uuid::from_bytes(EVENT),
                tenant_id: "acme".into(),
                aggregate_type: "opportunity".into(),
                aggregate_id: "097:X".into(),
                sequence: 3,
                event_type: "opportunity.amended".into(),
                event_version: "1.0".into(),
                recorded_at: "2026-03-03T12:17:50.808123Z".parse().unwrap(),
                metadata: EventMetadata { tenant_id: "acme".into(), user_id: "u".into(), ..EventMetadata::default() },
                payload: "{ }".into(),
            }
        );
    }

    #[test]
    fn metadata_that_is_no_object_is_an_error_with_position_and_event_id() {
        for metadata in [&b"7"[..], b"null", b"[]", b"{\"user_id\":1}", b"", b"\xff"] {
            let error = decode_failure(9, Some(metadata));
            assert!(
                matches!(
                    &error,
                    LogError::UnreadableEvent {
                        position: Some(42),
                        event_id: Some(id),
                        source: EventRowError::Metadata(_) | EventRowError::Malformed("metadata"),
                    } if id.as_bytes() == &EVENT
                ),
                "{error:?}"
            );
        }
        let message = decode_failure(9, Some(b"7")).to_string();
        assert_eq!(message, "reading the event at position 42 (event 07070707-0707-0707-0707-070707070707)");
    }

    #[test]
    fn null_and_malformed_values_are_errors_that_name_the_column() {
        assert!(matches!(
            decode_failure(10, None),
            LogError::UnreadableEvent { source: EventRowError::Null("payload"), .. }
        ));
        assert!(matches!(
            decode_failure(6, Some(b"\xff")),
            LogError::UnreadableEvent { source: EventRowError::Malformed("event_type"), .. }
        ));
        assert!(matches!(
            decode_failure(5, Some(b"3")),
            LogError::UnreadableEvent { source: EventRowError::Malformed("sequence"), .. }
        ));
        assert!(matches!(decode_failure(0, None), LogError::UnreadableEvent { position: None, event_id: Some(_), .. }));
    }

    #[test]
    fn infinite_times_are_errors() {
        const INFINITY: [u8; 8] = i64::MAX.to_be_bytes();
        const NEGATIVE_INFINITY: [u8; 8] = i64::MIN.to_be_bytes();
        for time in [&INFINITY, &NEGATIVE_INFINITY] {
            assert!(matches!(
                decode_failure(8, Some(time)),
                LogError::UnreadableEvent { source: EventRowError::Malformed("recorded_at"), .. }
            ));
        }
    }
}
