//! Parses the events of a request so that an invalid one is reported and does not prevent the others from being
//! recorded.
//!
//! A derived deserializer fails at the first value of a wrong type, for the whole body. This one accepts any value and
//! remembers what is wrong with each event. Only malformed JSON fails the whole body.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    field_key::{FIELD_NAMES, FieldKey},
    ingest_event::{EventKind, IngestEvent},
};

/// Maximum length of a field name of the client that is quoted in an error, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// An invalid field, and the reason. The field is empty if the event as a whole is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvalidEventField {
    pub(super) field: String,
    pub(super) reason: String,
}

impl InvalidEventField {
    pub(super) fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: truncate_text(field), reason: reason.into() }
    }
}

/// Truncates a text to [`MAX_QUOTED_CHARS`].
fn truncate_text(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Value of a field.
#[derive(Debug, Default)]
enum RawValue {
    #[default]
    Absent,
    Text(String),
    /// A value of another type, with the name of the type.
    Other(&'static str),
}

/// An event before validation.
#[derive(Debug, Default)]
pub(super) struct RawEvent {
    fields: [RawValue; FIELD_NAMES.len()],
    invalid_field: Option<InvalidEventField>,
}

/// The events of a request.
#[derive(Debug)]
pub(super) struct RawEvents {
    /// The events, up to the limit.
    pub(super) events: Vec<RawEvent>,
    /// Number of events in the request, including those beyond the limit.
    pub(super) count: usize,
    /// Whether they were sent as a list.
    pub(super) is_batch: bool,
}

impl RawEvents {
    /// Parses a body; stores at most `max_events` events and counts the others.
    ///
    /// # Errors
    /// If the body is no JSON object, or its `events` are no list.
    pub(super) fn parse(body: &[u8], max_events: usize) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let request = RequestSeed { max_events }.deserialize(&mut json)?;
        json.end()?;
        Ok(request)
    }
}

impl RawEvent {
    /// Converts to an event if every field has a value of the right type.
    pub(super) fn into_event(mut self) -> Result<IngestEvent, InvalidEventField> {
        if let Some(invalid) = self.invalid_field.take() {
            return Err(invalid);
        }
        let kind = match self.required_text(0)?.as_str() {
            "view" => EventKind::View,
            "click" => EventKind::Click,
            _ => return Err(InvalidEventField::new("type", "`view` or `click` is expected")),
        };
        let at = self.optional_text(8)?.map(|text| text.parse());
        let at =
            at.transpose().map_err(|_| InvalidEventField::new("at", "a time is expected, as 2026-03-03T12:00:00Z"))?;
        Ok(IngestEvent {
            kind,
            id: self.optional_text(1)?,
            session_id: self.required_text(2)?,
            page_url: self.required_text(3)?,
            referrer: self.optional_text(4)?,
            target_url: self.optional_text(5)?,
            user_id: self.optional_text(6)?,
            opportunity_id: self.optional_text(7)?,
            at,
        })
    }

    fn required_text(&mut self, field: usize) -> Result<String, InvalidEventField> {
        self.optional_text(field)?.ok_or_else(|| InvalidEventField::new(FIELD_NAMES[field], "it is missing"))
    }

    fn optional_text(&mut self, field: usize) -> Result<Option<String>, InvalidEventField> {
        match std::mem::take(&mut self.fields[field]) {
            RawValue::Absent => Ok(None),
            RawValue::Text(text) => Ok(Some(text)),
            RawValue::Other(kind) => {
                Err(InvalidEventField::new(FIELD_NAMES[field], format!("a text is expected, this is {kind}")))
            }
        }
    }

    /// Reads the value of a key; records unknown and repeated keys as invalid.
    fn read_field<'de, A: MapAccess<'de>>(&mut self, key: FieldKey, map: &mut A) -> Result<(), A::Error> {
        let index = match key {
            FieldKey::Known(index) => index,
            FieldKey::Other(key) => {
                map.next_value::<IgnoredAny>()?;
                self.invalid_field.get_or_insert_with(|| InvalidEventField::new(&key, "there is no such field"));
                return Ok(());
            }
        };
        let value = map.next_value::<RawValue>()?;
        if !matches!(self.fields[index], RawValue::Absent) {
            self.invalid_field.get_or_insert_with(|| InvalidEventField::new(FIELD_NAMES[index], "it is given twice"));
        }
        self.fields[index] = value;
        Ok(())
    }

    fn from_non_object(kind: &str) -> Self {
        let invalid = Some(InvalidEventField::new("", format!("an object is expected, this is {kind}")));
        Self { invalid_field: invalid, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for RawEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = RawEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEvent, A::Error> {
        let mut event = RawEvent::default();
        while let Some(key) = map.next_key::<FieldKey>()? {
            event.read_field(key, &mut map)?;
        }
        Ok(event)
    }

    fn visit_unit<E: Error>(self) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("null"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<RawEvent, E> {
        Ok(RawEvent::from_non_object("a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEvent, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(RawEvent::from_non_object("a list"))
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<RawValue, E> {
        Ok(RawValue::Absent)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<RawValue, E> {
        Ok(RawValue::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Other("a number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawValue, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(RawValue::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(RawValue::Other("an object"))
    }
}

/// Deserializes a request: an object with a list of events, or one event.
struct RequestSeed {
    max_events: usize,
}

impl<'de> DeserializeSeed<'de> for RequestSeed {
    type Value = RawEvents;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawEvents, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RequestSeed {
    type Value = RawEvents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, or an object with a list of `events`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEvents, A::Error> {
        let (mut single, mut batch) = (RawEvent::default(), None);
        while let Some(key) = map.next_key::<FieldKey>()? {
            if matches!(&key, FieldKey::Other(name) if name == "events") {
                batch = Some(map.next_value_seed(ListSeed { max_events: self.max_events })?);
            } else {
                single.read_field(key, &mut map)?;
            }
        }
        Ok(batch.unwrap_or_else(|| RawEvents { events: vec![single], count: 1, is_batch: false }))
    }
}

/// Deserializes a list of events.
struct ListSeed {
    max_events: usize,
}

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = RawEvents;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawEvents, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ListSeed {
    type Value = RawEvents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of `events`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEvents, A::Error> {
        let mut events = vec![];
        while events.len() < self.max_events {
            match list.next_element::<RawEvent>()? {
                Some(event) => events.push(event),
                None => return Ok(RawEvents { count: events.len(), events, is_batch: true }),
            }
        }
        // Further events are only counted: many small ones would take many times the size of the body.
        let mut count = events.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(RawEvents { events, count, is_batch: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid_fields(body: &str) -> Vec<Option<(String, String)>> {
        let events = RawEvents::parse(body.as_bytes(), 100).unwrap().events;
        let invalid = |event: RawEvent| event.into_event().err().map(|invalid| (invalid.field, invalid.reason));
        events.into_iter().map(invalid).collect()
    }

    #[test]
    fn an_invalid_event_names_its_field_and_does_not_affect_the_others() {
        let good = r#"{"type":"view","sessionId":"s","pageUrl":"/p"}"#;
        for (bad, field, reason) in [
            (r#"{"type":"view","sessionId":"s"}"#, "pageUrl", "it is missing"),
            (r#"{"sessionId":"s","pageUrl":"/p"}"#, "type", "it is missing"),
            (r#"{"type":"eaten","sessionId":"s","pageUrl":"/p"}"#, "type", "`view` or `click` is expected"),
            (r#"{"type":"view","sessionId":7,"pageUrl":"/p"}"#, "sessionId", "a text is expected, this is a number"),
            (r#"{"type":"view","sessionId":"s","pageUrl":["/p"]}"#, "pageUrl", "a text is expected, this is a list"),
            (
                r#"{"type":"view","sessionId":"s","pageUrl":"/p","userAgent":{"a":[1]}}"#,
                "userAgent",
                "there is no such field",
            ),
            (r#"{"type":"view","type":"click","sessionId":"s","pageUrl":"/p"}"#, "type", "it is given twice"),
            (
                r#"{"type":"view","sessionId":"s","pageUrl":"/p","at":"yesterday"}"#,
                "at",
                "a time is expected, as 2026-03-03T12:00:00Z",
            ),
            ("null", "", "an object is expected, this is null"),
            ("[{}]", "", "an object is expected, this is a list"),
            ("\"view\"", "", "an object is expected, this is a text"),
        ] {
            let invalid = invalid_fields(&format!(r#"{{"events":[{good},{bad},{good}]}}"#));
            assert_eq!(invalid, [None, Some((field.to_owned(), reason.to_owned())), None], "{bad}");
        }
    }

    #[test]
    fn a_null_value_counts_as_absent() {
        assert_eq!(
            invalid_fields(r#"{"type":"view","sessionId":"s","pageUrl":"/p","referrer":null,"at":null}"#),
            [None]
        );
    }

    #[test]
    fn events_beyond_the_limit_are_counted_and_not_stored() {
        let body = format!(r#"{{"events":[{}]}}"#, vec!["{}"; 1_000].join(","));
        let parsed = RawEvents::parse(body.as_bytes(), 10).unwrap();
        assert_eq!((parsed.events.len(), parsed.count, parsed.is_batch), (10, 1_000, true));
    }

    #[test]
    fn a_malformed_body_is_an_error() {
        for body in ["", "{", "7", "[]", "null", r#"{"events":7}"#, r#"{"events":[}"#, r#"{"type":"view"} x"#] {
            assert!(RawEvents::parse(body.as_bytes(), 10).is_err(), "{body}");
        }
    }
}
