//! Headers that the relay adds to the records of a partition, so that a reader can determine how far it has read.
//!
//! Positions have gaps, and offsets also count records without an event. So every record carries its *ordinal*, the
//! number of the event on its partition, without gaps: a reader detects a missing event, and the last record gives the
//! number of events. When no event arrives for a while the relay writes a *beacon*, a record without key and value that
//! carries the *watermark*: every event of the partition at or below that position precedes it.

use uuid::Uuid;

use super::header::{EVENT_ID, HeaderError, POSITION, parse_header};

/// Header: the incarnation of the log that a record was copied from.
pub const INCARNATION_HEADER: &str = "incarnation";
/// Header: the number of the event on its partition, from 1, without gaps; a beacon carries the last event's number.
pub const ORDINAL_HEADER: &str = "ordinal";
/// Header of a beacon: every event of the partition at or below this position precedes it.
pub const WATERMARK_HEADER: &str = "watermark";

/// The state of a partition according to its last record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionProgress {
    /// The incarnation of the log that it was copied from; `None` on records of releases that did not write it.
    pub incarnation: Option<Uuid>,
    /// The number of events that the partition has ever held; `None` on records of releases that did not write it.
    pub ordinal: Option<u64>,
    /// Position and id of the last event.
    pub last_event: Option<(u64, Uuid)>,
    /// Every event of the partition at or below this position is on it.
    pub watermark: u64,
}

impl PartitionProgress {
    /// Reads the headers of a record, event or beacon.
    ///
    /// # Errors
    /// [`HeaderError`] when a header is present and invalid.
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, HeaderError> {
        let position: Option<u64> = optional_header(&header, POSITION)?;
        let event_id: Option<Uuid> = optional_header(&header, EVENT_ID)?;
        let watermark: Option<u64> = optional_header(&header, WATERMARK_HEADER)?;
        Ok(Self {
            incarnation: optional_header(&header, INCARNATION_HEADER)?,
            ordinal: optional_header(&header, ORDINAL_HEADER)?,
            last_event: position.zip(event_id),
            watermark: watermark.or(position).unwrap_or_default(),
        })
    }

    /// The headers of a beacon with this state.
    pub fn to_beacon_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![(WATERMARK_HEADER, self.watermark.to_string())];
        headers.extend(self.incarnation.map(|id| (INCARNATION_HEADER, id.to_string())));
        headers.extend(self.ordinal.map(|ordinal| (ORDINAL_HEADER, ordinal.to_string())));
        if let Some((position, event_id)) = self.last_event {
            headers.extend([(POSITION, position.to_string()), (EVENT_ID, event_id.to_string())]);
        }
        headers
    }
}

fn optional_header<'a, T: std::str::FromStr>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    name: &'static str,
) -> Result<Option<T>, HeaderError> {
    header(name).map(|bytes| parse_header(name, bytes)).transpose()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(headers: &[(&'static str, String)]) -> Result<PartitionProgress, HeaderError> {
        let headers: HashMap<_, _> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        PartitionProgress::from_headers(|name| headers.get(name).copied())
    }

    #[test]
    fn a_beacon_carries_the_end_of_the_partition() {
        let end = PartitionProgress {
            incarnation: Some(Uuid::from_u128(1)),
            ordinal: Some(3),
            last_event: Some((41, Uuid::from_u128(2))),
            watermark: 57,
        };
        assert_eq!(read(&end.to_beacon_headers()), Ok(end));
    }

    #[test]
    fn the_watermark_of_an_event_is_its_position() {
        let event = [(POSITION, "41".to_owned()), (EVENT_ID, Uuid::from_u128(2).to_string())];
        let end = read(&event).unwrap();
        assert_eq!((end.watermark, end.last_event), (41, Some((41, Uuid::from_u128(2)))));
    }

    #[test]
    fn the_error_names_an_ordinal_that_is_not_a_number() {
        let error = read(&[(ORDINAL_HEADER, "many".to_owned())]).unwrap_err();
        assert_eq!(error, HeaderError::Invalid { name: "ordinal", value: "many".to_owned() });
    }
}
