//! The keys of an event's JSON.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Names of an event's fields.
pub(super) const FIELD_NAMES: [&str; 9] =
    ["type", "id", "sessionId", "pageUrl", "referrer", "targetUrl", "userId", "opportunityId", "at"];

/// A key of an event or of a request. Only one that is no field of an event is copied.
pub(super) enum FieldKey {
    /// The index in [`FIELD_NAMES`].
    Known(usize),
    Other(String),
}

impl<'de> Deserialize<'de> for FieldKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = FieldKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<FieldKey, E> {
        let index = FIELD_NAMES.iter().position(|field| *field == name);
        Ok(index.map_or_else(|| FieldKey::Other(name.to_owned()), FieldKey::Known))
    }
}
