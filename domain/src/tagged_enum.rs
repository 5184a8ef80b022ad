//! Decodes enums whose tag is a field of the same object.
//!
//! What `serde` derives for them collects all fields before it decodes one, because the tag may be the last. Recorded
//! events have it first, and each of them is decoded several times: by aggregates and by projections.

use std::{fmt, iter, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, Unexpected, VariantAccess, Visitor,
        value::{MapAccessDeserializer, MapDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// The field that names the variant.
const TAG: &str = "type";

/// An enum that can be decoded in its externally tagged form, where the variant precedes its fields.
pub(crate) trait ExternallyTagged: Sized {
    /// Decodes the externally tagged form.
    ///
    /// # Errors
    /// The error of the format, e.g. of an unknown variant.
    fn decode_variant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Decodes an enum with its tag in the field `type`.
///
/// # Errors
/// The error of the format, e.g. of a missing tag.
pub(crate) fn deserialize_tagged<'de, T: ExternallyTagged, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(TaggedVisitor(PhantomData))
}

struct TaggedVisitor<T>(PhantomData<T>);

impl<'de, T: ExternallyTagged> Visitor<'de> for TaggedVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the field `{TAG}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut fields = Map::new();
        match map.next_key()? {
            Some(FieldName::Tag) => return T::decode_variant(TaggedObject(map)),
            Some(FieldName::Other(first)) => {
                fields.insert(first, map.next_value()?);
            }
            None => {}
        }
        while let Some((name, value)) = map.next_entry()? {
            fields.insert(name, value);
        }
        let tag = match fields.remove(TAG) {
            Some(tag @ Value::String(_)) => tag,
            Some(_) => return Err(A::Error::invalid_type(Unexpected::Other("a tag that is no text"), &self)),
            None => return Err(A::Error::missing_field(TAG)),
        };
        let decode = || -> serde_json::Result<T> {
            let mut object =
                MapDeserializer::<_, serde_json::Error>::new(iter::once((TAG.to_owned(), tag)).chain(fields));
            object.next_key::<IgnoredAny>()?;
            T::decode_variant(TaggedObject(object))
        };
        decode().map_err(A::Error::custom)
    }
}

/// The name of an object's first field. The tag's is not copied: it begins every event.
#[derive(Deserialize)]
#[serde(field_identifier)]
enum FieldName {
    // [`TAG`], which the attribute cannot name.
    #[serde(rename = "type")]
    Tag,
    Other(String),
}

/// An object that has been read up to the value of its tag, as the externally tagged form of a variant.
struct TaggedObject<A>(A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for TaggedObject<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for TaggedObject<A> {
    type Error = A::Error;
    type Variant = VariantFields<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, VariantFields<A>), A::Error> {
        let variant = self.0.next_value_seed(seed)?;
        Ok((variant, VariantFields(self.0)))
    }
}

/// The fields of a variant.
struct VariantFields<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for VariantFields<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Form {
        Empty,
        Square { side: u32 },
        Named(Name),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name {
        name: String,
    }

    impl ExternallyTagged for Form {
        fn decode_variant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Self::deserialize(deserializer)
        }
    }

    fn decode(text: &str) -> serde_json::Result<Form> {
        deserialize_tagged(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn a_tag_is_found_in_any_place() {
        for text in [r#"{"type":"square","side":3,"new":{}}"#, r#"{"new":[1],"side":3,"type":"square"}"#] {
            assert_eq!(decode(text).unwrap(), Form::Square { side: 3 });
        }
        assert_eq!(decode(r#"{"type":"empty","new":{"a":[]}}"#).unwrap(), Form::Empty);
        assert_eq!(decode(r#"{"type":"named","name":"x"}"#).unwrap(), Form::Named(Name { name: "x".to_owned() }));
        let value = serde_json::json!({ "side": 3, "type": "square" });
        assert_eq!(deserialize_tagged::<Form, _>(value).unwrap(), Form::Square { side: 3 });
    }

    #[test]
    fn what_is_no_tagged_object_is_refused_with_a_reason() {
        for (text, reason) in [
            (r#"{"type":"circle"}"#, "unknown variant `circle`"),
            (r#"{"side":3}"#, "missing field `type`"),
            (r#"{"type":"square"}"#, "missing field `side`"),
            (r#"{"side":"3","type":"square"}"#, "invalid type: string"),
            (r#"{"side":3,"type":7}"#, "a tag that is no text"),
            (r#"{"type":7,"side":3}"#, "invalid type: integer"),
            ("[]", "an object with the field `type`"),
        ] {
            let error = decode(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
