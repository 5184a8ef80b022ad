//! Reads any JSON value where a text or an object is expected. A number or boolean counts as its text, null as absent.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{encoding::TextDecoder, error::NoticeRowError, field::NoticeField};

/// A value that is expected to be a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum LooseText {
    /// Absent or null.
    #[default]
    Absent,
    /// A text, a number or a boolean.
    Text(String),
    /// A list or an object.
    Other,
}

impl LooseText {
    /// The value as the field `key`.
    pub(super) fn to_field(&self, key: &'static str) -> Result<NoticeField<'_>, NoticeRowError> {
        match self {
            Self::Absent => Ok(NoticeField::new(key, "")),
            Self::Text(text) => Ok(NoticeField::new(key, text)),
            Self::Other => Err(NoticeField::new(key, "").malformed_error("a text")),
        }
    }

    /// Whether the value is absent, blank or the text `null`.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => matches!(text.trim(), "" | "null"),
            Self::Other => false,
        }
    }
}

/// Parses one record.
pub(super) fn parse_record<T: DeserializeOwned>(json: &[u8], decoder: &mut TextDecoder) -> Result<T, NoticeRowError> {
    let text = decoder.decode_text(json).ok_or(NoticeRowError::NotUtf8)?;
    serde_json::from_str(&text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => NoticeRowError::WrongShape,
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            NoticeRowError::NotJson { at: error.column() }
        }
    })
}

/// A value that is expected to be an object.
#[derive(Debug, Default)]
pub(super) enum LooseObject<T> {
    /// Absent, null, blank or an empty list.
    #[default]
    Absent,
    /// An object of the expected shape.
    Whole(T),
    /// Any other value.
    Other,
}

impl<T> LooseObject<T> {
    /// The object, if the value is present.
    pub(super) fn get(&self, key: &'static str) -> Result<Option<&T>, NoticeRowError> {
        match self {
            Self::Absent => Ok(None),
            Self::Whole(part) => Ok(Some(part)),
            Self::Other => Err(NoticeField::new(key, "").malformed_error("an object")),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for LooseObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_absent = match &value {
            Value::Null => true,
            Value::String(text) => matches!(text.trim(), "" | "null"),
            Value::Array(list) => list.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if is_absent {
            return Ok(Self::Absent);
        }
        Ok(if value.is_object() { serde_json::from_value(value).map_or(Self::Other, Self::Whole) } else { Self::Other })
    }
}

/// A value that is expected to be a list of texts.
#[derive(Debug, Default)]
pub(super) enum LooseList {
    /// Absent, null or blank.
    #[default]
    Absent,
    /// A list.
    List(Vec<LooseText>),
    /// Any other value.
    Other,
}

impl LooseList {
    /// The items, if the value is present.
    pub(super) fn items(&self, key: &'static str) -> Result<Option<&[LooseText]>, NoticeRowError> {
        match self {
            Self::Absent => Ok(None),
            Self::List(items) => Ok(Some(items)),
            Self::Other => Err(NoticeField::new(key, "").malformed_error("a list")),
        }
    }

    /// The first item; any other value than a list counts as an empty one.
    pub(super) fn first(&self) -> Option<&LooseText> {
        match self {
            Self::List(items) => items.first(),
            Self::Absent | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for LooseList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Absent,
            Value::String(text) if matches!(text.trim(), "" | "null") => Self::Absent,
            Value::Array(items) => {
                let items = items.into_iter().map(serde_json::from_value);
                items.collect::<Result<_, _>>().map_or(Self::Other, Self::List)
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Self::Other,
        })
    }
}

impl<'de> Deserialize<'de> for LooseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseTextVisitor)
    }
}

struct LooseTextVisitor;

impl<'de> Visitor<'de> for LooseTextVisitor {
    type Value = LooseText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<LooseText, E> {
        Ok(LooseText::Absent)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LooseText, E> {
        Ok(LooseText::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<LooseText, E> {
        Ok(LooseText::Text(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<LooseText, E> {
        Ok(LooseText::Text(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<LooseText, E> {
        Ok(LooseText::Text(value.to_string()))
    }

    // Printed with the fewest digits that identify the number: up to fifteen digits come out as they were written.
    fn visit_f64<E: Error>(self, value: f64) -> Result<LooseText, E> {
        Ok(LooseText::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LooseText, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LooseText::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LooseText, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LooseText::Other)
    }
}
