//! Upcasting: brings events of earlier schema versions into the current shape.
//!
//! Recorded events never change. A reader (the fold of an aggregate, a projection) upcasts them version by version
//! until they have the current shape. Each context lists its events and their versions in its own folder; an event of
//! the current version costs only the look-up.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{aggregates::version_histories, event_version::Upcaster};

/// A stored payload that cannot be brought into the current shape.
#[derive(Debug, thiserror::Error)]
pub enum UpcastError {
    /// No context has an event of this type.
    #[error("no event is named {event_type}")]
    UnknownEvent {
        /// The name it carries.
        event_type: String,
    },
    /// The version is unknown; a newer release may have recorded it.
    #[error("{event_type} has no version {version}; the newest one known here is {current}")]
    UnknownVersion {
        /// The event's name.
        event_type: String,
        /// The version it carries.
        version: String,
        /// The newest version.
        current: &'static str,
    },
    /// The payload does not have the shape of its event type and version.
    #[error("reading the payload of {event_type} {version}")]
    Payload {
        /// The event's name.
        event_type: String,
        /// The version it carries.
        version: String,
        /// What the decoder found.
        #[source]
        source: serde_json::Error,
    },
}

/// Returns a stored payload as JSON text in the current shape; borrows the text when it is of the current version.
///
/// # Errors
/// [`UpcastError`] naming the event and version, when either is unknown or the payload is not a JSON object.
pub fn upcast<'a>(event_type: &str, version: &str, payload: &'a str) -> Result<Cow<'a, str>, UpcastError> {
    let lifts = pending_upcasters(event_type, version)?;
    if lifts.is_empty() {
        return Ok(Cow::Borrowed(payload));
    }
    let unreadable = |source| UpcastError::Payload { event_type: event_type.into(), version: version.into(), source };
    let mut fields: Map<String, Value> = serde_json::from_str(payload).map_err(unreadable)?;
    for (_, lift) in lifts {
        lift(&mut fields);
    }
    Ok(Cow::Owned(Value::Object(fields).to_string()))
}

/// Decodes a stored payload of any version as an event of the current shape.
///
/// # Errors
/// [`UpcastError`] naming the event and version, when either is unknown or the payload has another shape.
pub fn decode_event<E: DeserializeOwned>(event_type: &str, version: &str, payload: &str) -> Result<E, UpcastError> {
    let payload = upcast(event_type, version, payload)?;
    serde_json::from_str(&payload).map_err(|source| UpcastError::Payload {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
        source,
    })
}

/// The upcasters from a version to the current one.
fn pending_upcasters(event_type: &str, version: &str) -> Result<&'static [(&'static str, Upcaster)], UpcastError> {
    let lineage = version_histories()
        .find(|lineage| lineage.event_type == event_type)
        .ok_or_else(|| UpcastError::UnknownEvent { event_type: event_type.to_owned() })?;
    if lineage.current == version {
        return Ok(&[]);
    }
    let from = lineage.earlier.iter().position(|(earlier, _)| *earlier == version);
    from.map(|from| &lineage.earlier[from..]).ok_or_else(|| UpcastError::UnknownVersion {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
        current: lineage.current,
    })
}

#[cfg(test)]
mod tests {
    use crate::opportunity::OpportunityEvent;

    use super::*;

    #[test]
    fn the_current_version_is_left_as_it_is() {
        let payload = "not even looked at";
        let same = upcast("opportunity.discovered", "1.0", payload).unwrap();
        assert!(matches!(same, Cow::Borrowed(text) if std::ptr::eq(text, payload)));
    }

    #[test]
    fn an_earlier_version_is_lifted_to_the_current_shape() {
        let stored = r#"{"type":"deadline_changed","notice_id":"n1","from":null,"to":null}"#;
        let lifted = upcast("opportunity.deadline_changed", "1.0", stored).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&lifted).unwrap()["posted_at"], Value::Null);
        let event: OpportunityEvent = decode_event("opportunity.deadline_changed", "1.0", stored).unwrap();
        assert!(matches!(event, OpportunityEvent::DeadlineChanged { posted_at: None, .. }));
    }

    #[test]
    fn an_unknown_event_or_version_is_named() {
        let event = upcast("spaceship.launched", "1.0", "{}").unwrap_err();
        assert_eq!(event.to_string(), "no event is named spaceship.launched");
        let version = upcast("opportunity.deadline_changed", "7.0", "{}").unwrap_err();
        assert_eq!(
            version.to_string(),
            "opportunity.deadline_changed has no version 7.0; the newest one known here is 1.1"
        );
    }

    #[test]
    fn a_payload_of_another_shape_is_named() {
        for payload in ["[]", "{", r#"{"type":"evaporated"}"#] {
            let error = decode_event::<OpportunityEvent>("opportunity.deadline_changed", "1.0", payload).unwrap_err();
            assert_eq!(error.to_string(), "reading the payload of opportunity.deadline_changed 1.0", "{payload}");
        }
    }
}
