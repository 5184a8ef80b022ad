//! The names of a section's keys, as serde knows them.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};

/// Notes the names of the fields that a struct asks for, and then fails.
struct FieldNameReader<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNameReader<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the names are read"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The keys that `T`, a struct, reads; none if it is not a struct. Skipped fields are left out.
pub(super) fn list_field_names<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    drop(T::deserialize(FieldNameReader(&mut names)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_read_has_its_name() {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct TwoSections {
            #[serde(rename = "first_section")]
            first: u8,
            second: String,
            #[serde(skip)]
            skipped: u8,
        }
        let TwoSections { first, second, skipped } = TwoSections::default();
        assert_eq!((first, second.as_str(), skipped), (0, "", 0));
        assert_eq!(list_field_names::<TwoSections>(), ["first_section", "second"]);
        assert!(list_field_names::<u8>().is_empty());
    }
}
