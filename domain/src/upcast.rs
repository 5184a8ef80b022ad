//! Upcasting: converts events of earlier schema versions to the current one.
//!
//! Recorded events never change. A reader (the fold of an aggregate, a projection) upcasts them version by version
//! until they have the current version. Each aggregate declares its events and their versions in its `event.rs`; an
//! event of the current version costs only the look-up.
//!
//! While a release is rolled out, processes of the previous release read streams that the new one has appended to. A
//! new minor version of an event adds fields only, which a test of the schemas ensures, so the fold of an aggregate
//! reads it as if they were absent. A projection does not: what it writes without them would never be written again.

use std::borrow::Cow;

use cqrs_es::Aggregate;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    aggregates::version_histories,
    event_version::{Upcaster, VersionHistory, VersionedEvents},
};

/// A stored payload that cannot be converted to the current version.
#[derive(Debug, thiserror::Error)]
pub enum UpcastError {
    /// No context has an event of this type.
    #[error("unknown event type {event_type}")]
    UnknownEvent {
        /// The recorded event type.
        event_type: String,
    },
    /// The version is unknown; a newer release may have recorded it.
    #[error("unknown version {version} of {event_type}; the newest version that this release knows is {current}")]
    UnknownVersion {
        /// The event's name.
        event_type: String,
        /// The recorded schema version.
        version: String,
        /// The newest version.
        current: &'static str,
    },
    /// The payload does not have the shape of its event type and version.
    #[error("reading the payload of {event_type} {version}")]
    Payload {
        /// The event's name.
        event_type: String,
        /// The recorded schema version.
        version: String,
        /// The decoder's error.
        #[source]
        source: serde_json::Error,
    },
}

/// Returns a stored payload as JSON text of the current version; borrows the text if it is of that version already.
///
/// # Errors
/// [`UpcastError`] naming the event and version, when either is unknown or the payload is not a JSON object.
pub fn upcast<'a>(event_type: &str, version: &str, payload: &'a str) -> Result<Cow<'a, str>, UpcastError> {
    upcast_by(version_histories(), event_type, version, payload)
}

fn upcast_by<'a>(
    mut histories: impl Iterator<Item = &'static VersionHistory>,
    event_type: &str,
    version: &str,
    payload: &'a str,
) -> Result<Cow<'a, str>, UpcastError> {
    let history = histories
        .find(|history| history.event_type == event_type)
        .ok_or_else(|| UpcastError::UnknownEvent { event_type: event_type.to_owned() })?;
    let upcasters = pending_upcasters(history, version)?;
    if upcasters.is_empty() {
        return Ok(Cow::Borrowed(payload));
    }
    let payload_error =
        |source| UpcastError::Payload { event_type: event_type.into(), version: version.into(), source };
    let mut fields: Map<String, Value> = serde_json::from_str(payload).map_err(payload_error)?;
    for (_, upcaster) in upcasters {
        upcaster(&mut fields);
    }
    Ok(Cow::Owned(Value::Object(fields).to_string()))
}

/// Decodes a stored payload of any known version as an event of the current version.
///
/// # Errors
/// [`UpcastError`] naming the event and version, when either is unknown or the payload has another shape.
pub fn decode_event<E: DeserializeOwned>(event_type: &str, version: &str, payload: &str) -> Result<E, UpcastError> {
    parse_event(event_type, version, &upcast(event_type, version, payload)?)
}

/// Decodes a stored payload of any known version as an event of the aggregate `A`, by its own version histories. A newer
/// version with the same major number is read as the current one, without the fields that it adds.
///
/// # Errors
/// As [`decode_event`]; the events of other aggregates are unknown.
pub fn decode_event_of<A>(event_type: &str, version: &str, payload: &str) -> Result<A::Event, UpcastError>
where
    A: Aggregate<Event: VersionedEvents>,
{
    match upcast_by(A::Event::VERSION_HISTORIES.iter(), event_type, version, payload) {
        Ok(upcasted) => parse_event(event_type, version, &upcasted),
        Err(UpcastError::UnknownVersion { current, .. }) if is_newer_minor(version, current) => {
            parse_event(event_type, version, payload)
        }
        Err(error) => Err(error),
    }
}

/// Every event type and version that this release can read.
pub fn known_versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    version_histories().flat_map(|history| {
        let versions = history.earlier.iter().map(|(version, _)| *version).chain([history.current]);
        versions.map(|version| (history.event_type, version))
    })
}

/// Whether a version adds to the current one: the same major number, and a larger minor one.
fn is_newer_minor(version: &str, current: &str) -> bool {
    let numbers = |text: &str| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let (Some(version), Some(current)) = (numbers(version), numbers(current)) else { return false };
    version.0 == current.0 && version.1 > current.1
}

fn parse_event<E: DeserializeOwned>(event_type: &str, version: &str, upcasted: &str) -> Result<E, UpcastError> {
    serde_json::from_str(upcasted).map_err(|source| UpcastError::Payload {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
        source,
    })
}

/// The upcasters from a version to the current one.
fn pending_upcasters(
    history: &'static VersionHistory,
    version: &str,
) -> Result<&'static [(&'static str, Upcaster)], UpcastError> {
    if history.current == version {
        return Ok(&[]);
    }
    let from = history.earlier.iter().position(|(earlier, _)| *earlier == version);
    from.map(|from| &history.earlier[from..]).ok_or_else(|| UpcastError::UnknownVersion {
        event_type: history.event_type.to_owned(),
        version: version.to_owned(),
        current: history.current,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        opportunity::{Opportunity, OpportunityEvent},
        resource::Resource,
    };

    use super::*;

    #[test]
    fn a_payload_of_the_current_version_is_returned_unchanged() {
        let payload = "not parsed";
        let history = OpportunityEvent::VERSION_HISTORIES[0];
        let unchanged = upcast(history.event_type, history.current, payload).unwrap();
        assert!(matches!(unchanged, Cow::Borrowed(text) if std::ptr::eq(text, payload)));
    }

    #[test]
    fn an_earlier_version_is_upcast_to_the_current_one() {
        let stored = r#"{"type":"deadline_changed","notice_id":"n1","from":null,"to":null}"#;
        let upcasted = upcast("opportunity.deadline_changed", "1.0", stored).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&upcasted).unwrap()["posted_at"], Value::Null);
        let event: OpportunityEvent = decode_event("opportunity.deadline_changed", "1.0", stored).unwrap();
        assert!(matches!(event, OpportunityEvent::DeadlineChanged { posted_at: None, .. }));
    }

    #[test]
    fn an_aggregate_decodes_its_own_events_only() {
        let stored = r#"{"type":"deadline_changed","notice_id":"n1","from":null,"to":null}"#;
        let event = decode_event_of::<Opportunity>("opportunity.deadline_changed", "1.0", stored).unwrap();
        assert!(matches!(event, OpportunityEvent::DeadlineChanged { posted_at: None, .. }));
        let foreign = decode_event_of::<Resource>("opportunity.deadline_changed", "1.0", stored).unwrap_err();
        assert_eq!(foreign.to_string(), "unknown event type opportunity.deadline_changed");
    }

    #[test]
    fn an_aggregate_reads_a_newer_version_without_the_fields_that_it_adds() {
        let stored = r#"{"type":"deadline_changed","notice_id":"n1","from":null,"to":null,"posted_at":null,
            "reason":"a field of the next release"}"#;
        let event = decode_event_of::<Opportunity>("opportunity.deadline_changed", "1.2", stored).unwrap();
        assert!(matches!(event, OpportunityEvent::DeadlineChanged { .. }));
        // The rows that a projection writes would lack them permanently.
        let projected = decode_event::<OpportunityEvent>("opportunity.deadline_changed", "1.2", stored).unwrap_err();
        assert!(matches!(projected, UpcastError::UnknownVersion { .. }), "{projected}");
        for breaking in ["2.0", "1.0.1", "1", "1.x", "0.9"] {
            let error = decode_event_of::<Opportunity>("opportunity.deadline_changed", breaking, stored).unwrap_err();
            assert!(matches!(error, UpcastError::UnknownVersion { .. }), "{breaking}: {error}");
        }
        let changed = r#"{"type":"deadline_moved"}"#;
        let error = decode_event_of::<Opportunity>("opportunity.deadline_changed", "1.2", changed).unwrap_err();
        assert!(matches!(error, UpcastError::Payload { .. }), "{error}");
    }

    #[test]
    fn the_known_versions_are_those_that_are_read() {
        let versions: Vec<_> = known_versions().filter(|(name, _)| *name == "opportunity.deadline_changed").collect();
        assert_eq!(versions, ["1.0", "1.1"].map(|version| ("opportunity.deadline_changed", version)));
    }

    #[test]
    fn the_error_names_an_unknown_event_type_or_version() {
        let event = upcast("spaceship.launched", "1.0", "{}").unwrap_err();
        assert_eq!(event.to_string(), "unknown event type spaceship.launched");
        let version = upcast("opportunity.deadline_changed", "7.0", "{}").unwrap_err();
        assert_eq!(
            version.to_string(),
            "unknown version 7.0 of opportunity.deadline_changed; the newest version that this release knows is 1.1"
        );
    }

    #[test]
    fn the_error_of_an_unreadable_payload_names_event_type_and_version() {
        for payload in ["[]", "{", r#"{"type":"evaporated"}"#] {
            let error = decode_event::<OpportunityEvent>("opportunity.deadline_changed", "1.0", payload).unwrap_err();
            assert_eq!(error.to_string(), "reading the payload of opportunity.deadline_changed 1.0", "{payload}");
        }
    }
}
