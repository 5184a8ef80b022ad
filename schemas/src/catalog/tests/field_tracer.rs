//! Traces the fields of a Rust type while serde serializes a value of it: also those that it leaves out.

use std::collections::BTreeMap;

use serde::{
    Serialize,
    ser::{Error as _, Impossible, SerializeSeq, SerializeStruct, Serializer},
};
use serde_json::{Error, Result};

/// What serde calls the value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// `None`, or left out.
    Absent,
    /// A text; also times, dates and ids, and the name of an event.
    Text,
    /// A variant without fields of an enum.
    Variant,
    Boolean,
    Integer {
        min: i128,
        max: i128,
    },
    Fraction,
    List,
}

/// The fields that are not structs, by their paths, e.g. `facts.place.zip`; items of a list have the path `tags[]`.
pub(super) type FieldKinds = BTreeMap<String, FieldKind>;

/// The fields of a value's type; those of a struct that is absent are unknown.
///
/// # Errors
/// An error for what Avro records of events do not have, such as maps and tuples.
pub(super) fn trace_fields(value: &impl Serialize) -> Result<FieldKinds> {
    let mut found = FieldKinds::new();
    value.serialize(FieldTracer { path: String::new(), found: &mut found })?;
    Ok(found)
}

/// The path of a field of the value at `path`.
pub(super) fn join_path(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

struct FieldTracer<'a> {
    path: String,
    found: &'a mut FieldKinds,
}

impl FieldTracer<'_> {
    /// Of several items of a list, one may have a field that another one has not.
    fn record(self, kind: FieldKind) {
        let known = self.found.entry(self.path).or_insert(kind);
        if *known == FieldKind::Absent {
            *known = kind;
        }
    }

    fn record_integer<T: Into<i128>>(self, min: T, max: T) {
        self.record(FieldKind::Integer { min: min.into(), max: max.into() });
    }

    fn at(&mut self, path: String) -> FieldTracer<'_> {
        FieldTracer { path, found: self.found }
    }

    fn unsupported<T>(self, kind: &str) -> Result<T> {
        Err(Error::custom(format!("{}: events have no {kind}", self.path)))
    }
}

/// The methods of a type without further content.
macro_rules! trace_simple {
    ($($method:ident($value:ty) => |$tracer:ident| $record:expr;)+) => {
        $(fn $method(self, _: $value) -> Result<()> {
            let $tracer = self;
            $record;
            Ok(())
        })+
    };
}

impl Serializer for FieldTracer<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeStruct = Self;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    trace_simple! {
        serialize_bool(bool) => |tracer| tracer.record(FieldKind::Boolean);
        serialize_i8(i8) => |tracer| tracer.record_integer(i8::MIN, i8::MAX);
        serialize_i16(i16) => |tracer| tracer.record_integer(i16::MIN, i16::MAX);
        serialize_i32(i32) => |tracer| tracer.record_integer(i32::MIN, i32::MAX);
        serialize_i64(i64) => |tracer| tracer.record_integer(i64::MIN, i64::MAX);
        serialize_u8(u8) => |tracer| tracer.record_integer(u8::MIN, u8::MAX);
        serialize_u16(u16) => |tracer| tracer.record_integer(u16::MIN, u16::MAX);
        serialize_u32(u32) => |tracer| tracer.record_integer(u32::MIN, u32::MAX);
        serialize_u64(u64) => |tracer| tracer.record_integer(u64::MIN, u64::MAX);
        serialize_f32(f32) => |tracer| tracer.record(FieldKind::Fraction);
        serialize_f64(f64) => |tracer| tracer.record(FieldKind::Fraction);
        serialize_char(char) => |tracer| tracer.record(FieldKind::Text);
        serialize_str(&str) => |tracer| tracer.record(FieldKind::Text);
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<()> {
        self.unsupported("bytes")
    }

    fn serialize_none(self) -> Result<()> {
        self.record(FieldKind::Absent);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.unsupported("units")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.unsupported("units")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<()> {
        self.record(FieldKind::Variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        self.unsupported("variants with content")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self> {
        let Self { path, found } = self;
        FieldTracer { path: path.clone(), found: &mut *found }.record(FieldKind::List);
        Ok(Self { path, found })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        self.unsupported("tuples")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        self.unsupported("tuples")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        self.unsupported("variants with content")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        self.unsupported("maps")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        self.unsupported("variants with content")
    }
}

impl SerializeSeq for FieldTracer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<()> {
        let path = format!("{}[]", self.path);
        item.serialize(self.at(path))
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}

impl SerializeStruct for FieldTracer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        let path = join_path(&self.path, name);
        value.serialize(self.at(path))
    }

    fn skip_field(&mut self, name: &'static str) -> Result<()> {
        let path = join_path(&self.path, name);
        self.at(path).record(FieldKind::Absent);
        Ok(())
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn fields_are_traced_with_those_that_are_left_out() {
    #[derive(Serialize)]
    struct Booking {
        room: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        guests: Vec<Guest>,
    }

    #[derive(Serialize)]
    struct Guest {
        name: &'static str,
        age: Option<i32>,
    }

    let guests = vec![Guest { name: "Ann", age: None }, Guest { name: "Bob", age: Some(30) }];
    let traced = trace_fields(&Booking { room: 7, note: None, guests }).unwrap();
    let expected = [
        ("guests", FieldKind::List),
        ("guests[].age", FieldKind::Integer { min: i32::MIN.into(), max: i32::MAX.into() }),
        ("guests[].name", FieldKind::Text),
        ("note", FieldKind::Absent),
        ("room", FieldKind::Integer { min: 0, max: 255 }),
    ];
    assert_eq!(traced, expected.map(|(path, kind)| (path.to_owned(), kind)).into());
    let refused = trace_fields(&BTreeMap::from([("a", 1)])).unwrap_err();
    assert_eq!(refused.to_string(), ": events have no maps");
}
