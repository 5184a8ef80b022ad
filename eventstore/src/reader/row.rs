//! From a row of the log to a recorded event.

use chrono::{DateTime, Utc};
use domain::envelope::{Metadata, RawRecorded, Recorded};
use uuid::Uuid;

use super::copy::Row;
use crate::error::LogError;

/// How many columns are read.
pub(super) const COLUMNS: usize = 11;
/// The columns that are read, in the order that [`recorded`] expects.
pub(super) const SELECT: &str = "select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, \
                                 event_version, recorded_at, metadata, payload from events";
/// Microseconds from 1970 to 2000, where Postgres starts to count.
const EPOCH: i64 = 946_684_800_000_000;

/// What is wrong with a row of the log.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A value that is never empty is NULL.
    #[error("{0} is NULL")]
    Null(&'static str),
    /// A value is not what stands in that column.
    #[error("{0} has another form than it should")]
    Form(&'static str),
    /// The metadata are no texts by name.
    #[error("understanding the metadata")]
    Metadata(#[source] serde_json::Error),
}

/// The event in a row.
///
/// # Errors
/// [`LogError::Unreadable`] naming position and event.
pub(super) fn recorded(row: &Row<'_, COLUMNS>) -> Result<RawRecorded, LogError> {
    // Read first, so that an error can name them.
    let position = number("position", row[0]);
    let event_id = uuid("event_id", row[1]);
    let named = (position.as_ref().ok().copied(), event_id.as_ref().ok().copied());
    let unreadable = |source| LogError::Unreadable { position: named.0, event_id: named.1, source };
    let event = || {
        let tenant_id = text("tenant_id", row[2])?;
        let metadata = metadata(given("metadata", row[9])?)?;
        Ok(Recorded {
            position: position?,
            event_id: event_id?,
            metadata: Metadata { tenant_id: tenant_id.clone(), ..metadata },
            tenant_id,
            aggregate_type: text("aggregate_type", row[3])?,
            aggregate_id: text("aggregate_id", row[4])?,
            sequence: number("sequence", row[5])?,
            event_type: text("event_type", row[6])?,
            event_version: text("event_version", row[7])?,
            recorded_at: time("recorded_at", row[8])?,
            payload: text("payload", row[10])?,
        })
    };
    event().map_err(unreadable)
}

fn metadata(json: &[u8]) -> Result<Metadata, RowError> {
    // Serde would take an array for a struct, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(RowError::Form("metadata"));
    }
    serde_json::from_slice(json).map_err(RowError::Metadata)
}

fn given<'a>(name: &'static str, value: Option<&'a [u8]>) -> Result<&'a [u8], RowError> {
    value.ok_or(RowError::Null(name))
}

fn text(name: &'static str, value: Option<&[u8]>) -> Result<String, RowError> {
    std::str::from_utf8(given(name, value)?).map(str::to_owned).map_err(|_| RowError::Form(name))
}

fn bytes<const L: usize>(name: &'static str, value: Option<&[u8]>) -> Result<[u8; L], RowError> {
    given(name, value)?.try_into().map_err(|_| RowError::Form(name))
}

fn number(name: &'static str, value: Option<&[u8]>) -> Result<u64, RowError> {
    u64::try_from(i64::from_be_bytes(bytes(name, value)?)).map_err(|_| RowError::Form(name))
}

fn uuid(name: &'static str, value: Option<&[u8]>) -> Result<Uuid, RowError> {
    bytes(name, value).map(Uuid::from_bytes)
}

fn time(name: &'static str, value: Option<&[u8]>) -> Result<DateTime<Utc>, RowError> {
    let micros = i64::from_be_bytes(bytes(name, value)?);
    // Infinity, which nothing was ever recorded at, goes beyond what can be added.
    micros.checked_add(EPOCH).and_then(DateTime::from_timestamp_micros).ok_or(RowError::Form(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: [u8; 8] = 42_i64.to_be_bytes();
    const EVENT: [u8; 16] = [7; 16];
    /// 2026-03-03T12:17:50.808123Z
    const TIME: [u8; 8] = (1_772_540_270_808_123 - EPOCH).to_be_bytes();

    fn row() -> Row<'static, COLUMNS> {
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

    fn failure(column: usize, value: Option<&'static [u8]>) -> LogError {
        let mut row = row();
        row[column] = value;
        recorded(&row).unwrap_err()
    }

    #[test]
    fn a_row_becomes_an_event() {
        let event = recorded(&row()).unwrap();
        assert_eq!(
            event,
            Recorded {
                position: 42,
                event_id: Uuid::from_bytes(EVENT),
                tenant_id: "acme".into(),
                aggregate_type: "opportunity".into(),
                aggregate_id: "097:X".into(),
                sequence: 3,
                event_type: "opportunity.amended".into(),
                event_version: "1.0".into(),
                recorded_at: "2026-03-03T12:17:50.808123Z".parse().unwrap(),
                metadata: Metadata { tenant_id: "acme".into(), user_id: "u".into(), ..Metadata::default() },
                payload: "{ }".into(),
            }
        );
    }

    #[test]
    fn metadata_that_are_no_object_are_an_error_naming_position_and_event() {
        for metadata in [&b"7"[..], b"null", b"[]", b"{\"user_id\":1}", b"", b"\xff"] {
            let error = failure(9, Some(metadata));
            assert!(
                matches!(
                    &error,
                    LogError::Unreadable {
                        position: Some(42),
                        event_id: Some(id),
                        source: RowError::Metadata(_) | RowError::Form("metadata"),
                    } if id.as_bytes() == &EVENT
                ),
                "{error:?}"
            );
        }
        let shown = failure(9, Some(b"7")).to_string();
        assert_eq!(shown, "reading the event at position 42 (event 07070707-0707-0707-0707-070707070707)");
    }

    #[test]
    fn null_and_wrong_bytes_are_errors_that_name_the_column() {
        assert!(matches!(failure(10, None), LogError::Unreadable { source: RowError::Null("payload"), .. }));
        assert!(matches!(failure(6, Some(b"\xff")), LogError::Unreadable { source: RowError::Form("event_type"), .. }));
        assert!(matches!(failure(5, Some(b"3")), LogError::Unreadable { source: RowError::Form("sequence"), .. }));
        assert!(matches!(failure(0, None), LogError::Unreadable { position: None, event_id: Some(_), .. }));
    }

    #[test]
    fn infinite_times_are_errors() {
        const INFINITY: [u8; 8] = i64::MAX.to_be_bytes();
        const NEGATIVE: [u8; 8] = i64::MIN.to_be_bytes();
        for time in [&INFINITY, &NEGATIVE] {
            assert!(matches!(
                failure(8, Some(time)),
                LogError::Unreadable { source: RowError::Form("recorded_at"), .. }
            ));
        }
    }
}
