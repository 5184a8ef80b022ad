//! A JSON value where a text is expected: a number or a yes/no is taken as its text, null as blank.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{encoding::Decoder, error::RowError, field::Field};

/// What stands in a text's place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Loose {
    /// Nothing or null.
    #[default]
    Absent,
    /// A text, or what reads as one.
    Text(String),
    /// A list or an object.
    Other,
}

impl Loose {
    /// The value under its key.
    pub(super) fn field(&self, key: &'static str) -> Result<Field<'_>, RowError> {
        match self {
            Self::Absent => Ok(Field::new(key, "")),
            Self::Text(text) => Ok(Field::new(key, text)),
            Self::Other => Err(Field::new(key, "").malformed("a text")),
        }
    }

    /// Whether nothing stands there.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => matches!(text.trim(), "" | "null"),
            Self::Other => false,
        }
    }
}

/// Reads one record.
pub(super) fn record<T: DeserializeOwned>(json: &[u8], decoder: &mut Decoder) -> Result<T, RowError> {
    let text = decoder.text(json).ok_or(RowError::NotUtf8)?;
    serde_json::from_str(&text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => RowError::WrongShape,
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            RowError::NotJson { at: error.column() }
        }
    })
}

/// A part of a record that is an object, unless something else stands there.
#[derive(Debug, Default)]
pub(super) enum Part<T> {
    /// Nothing or null.
    #[default]
    Absent,
    /// What was expected.
    Whole(T),
    /// Something else.
    Other,
}

impl<T> Part<T> {
    /// What was expected, if anything stands there.
    pub(super) fn get(&self, key: &'static str) -> Result<Option<&T>, RowError> {
        match self {
            Self::Absent => Ok(None),
            Self::Whole(part) => Ok(Some(part)),
            Self::Other => Err(Field::new(key, "").malformed("an object")),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let says_nothing = match &value {
            Value::Null => true,
            Value::String(text) => matches!(text.trim(), "" | "null"),
            Value::Array(list) => list.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if says_nothing {
            return Ok(Self::Absent);
        }
        Ok(if value.is_object() { serde_json::from_value(value).map_or(Self::Other, Self::Whole) } else { Self::Other })
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Loose, E> {
        Ok(Loose::Absent)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }

    // Printed with the fewest digits that name it, which are the digits that were written: up to fifteen survive.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}
