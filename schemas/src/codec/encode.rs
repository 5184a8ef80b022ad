//! JSON text to Avro in one pass.
//!
//! Fields come in any order. Each value is written where the output ends; a record whose fields came in the schema's
//! order and all of them is finished with that, any other is put in order at its end.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::{
    MisfitError,
    shape::{Field, Node, NodeId, Shape},
    time,
};

/// Where a field lies in the output that has not come yet.
const ABSENT: (usize, usize) = (usize::MAX, 0);

/// Appends the Avro form of a JSON text; appends nothing when it does not fit.
pub(crate) fn encode(shape: &Shape, json: &str, into: &mut Vec<u8>) -> Result<(), MisfitError> {
    encode_node(shape, 0, json, into)
}

/// The same for a part of the schema.
pub(super) fn encode_node(shape: &Shape, node: NodeId, json: &str, into: &mut Vec<u8>) -> Result<(), MisfitError> {
    let before = into.len();
    let mut output = Output { bytes: into, ranges: Vec::new(), spare: Vec::new(), steps: Vec::new(), fault: None };
    let mut reader = serde_json::Deserializer::from_str(json);
    let outcome = Seed { shape, node, output: &mut output }.deserialize(&mut reader).and_then(|()| reader.end());
    let Err(error) = outcome else { return Ok(()) };
    let Output { bytes, steps, fault, .. } = output;
    bytes.truncate(before);
    Err(MisfitError::at(&steps, fault.unwrap_or_else(|| format!("cannot be read as JSON: {error}"))))
}

/// Appends a number in Avro's form: zigzag, seven bits a byte.
fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // No text in memory is longer than an i64 counts.
    put_long(bytes, i64::try_from(length).unwrap_or(i64::MAX));
}

struct Output<'o> {
    bytes: &'o mut Vec<u8>,
    /// Where the fields of the records under way lie in `bytes`, outer records first.
    ranges: Vec<(usize, usize)>,
    /// Room to put fields in order.
    spare: Vec<u8>,
    /// The way to a fault, from the inside out.
    steps: Vec<String>,
    fault: Option<String>,
}

impl Output<'_> {
    fn fault<E: Error>(&mut self, reason: String) -> E {
        self.fault.get_or_insert(reason);
        E::custom("misfit")
    }

    fn fault_at<E: Error>(&mut self, step: &str, reason: &str) -> E {
        self.steps.push(step.to_owned());
        self.fault(reason.to_owned())
    }

    /// Makes the fields that begin at `start` a record: all of them, in the schema's order.
    fn put_in_order<E: Error>(&mut self, shape: &Shape, fields: &[Field], first: usize, start: usize) -> Result<(), E> {
        let spare = self.spare.len();
        self.spare.extend_from_slice(&self.bytes[start..]);
        self.bytes.truncate(start);
        for (at, field) in fields.iter().enumerate() {
            match (self.ranges[first + at], &field.absent) {
                (ABSENT, Some(absent)) => self.bytes.extend_from_slice(absent),
                (ABSENT, None) => {
                    let wanted = shape.node(field.node).wanted(shape);
                    return Err(self.fault_at(&field.name, &format!("is missing; expected {wanted}")));
                }
                ((from, to), _) => self.bytes.extend_from_slice(&self.spare[spare + from - start..spare + to - start]),
            }
        }
        self.spare.truncate(spare);
        Ok(())
    }
}

/// Takes in the value at one place.
struct Seed<'s, 'o> {
    shape: &'s Shape,
    node: NodeId,
    output: &'s mut Output<'o>,
}

impl<'s> Seed<'s, '_> {
    /// What stands here when it is not null; says which branch of the union that is.
    fn inner(&mut self) -> &'s Node {
        let node = self.shape.node(self.node);
        let Node::Nullable { null, inner } = node else { return node };
        self.output.bytes.push((1 - null) << 1);
        self.shape.node(*inner)
    }

    fn wrong<E: Error>(self, found: &str) -> E {
        let wanted = self.shape.node(self.node).wanted(self.shape);
        self.output.fault(format!("expected {wanted}, found {found}"))
    }

    fn number<E: Error>(mut self, number: i64) -> Result<(), E> {
        let node = self.inner();
        if matches!(node, Node::Long) || matches!(node, Node::Int) && i32::try_from(number).is_ok() {
            put_long(self.output.bytes, number);
        } else if matches!(node, Node::Double) {
            #[expect(clippy::cast_precision_loss, reason = "JSON does not tell 3 from 3.0")]
            self.output.bytes.extend_from_slice(&(number as f64).to_le_bytes());
        } else {
            return Err(self.wrong(&format!("the number {number}")));
        }
        Ok(())
    }

    fn record<'de, A: MapAccess<'de>>(self, fields: &[Field], mut map: A) -> Result<(), A::Error> {
        let (shape, output) = (self.shape, self.output);
        let (first, start) = (output.ranges.len(), output.bytes.len());
        output.ranges.resize(first + fields.len(), ABSENT);
        let (mut next, mut in_order) = (0, true);
        while let Some(at) = map.next_key_seed(Key { fields, next, output: &mut *output })? {
            let field = &fields[at];
            let from = output.bytes.len();
            if output.ranges[first + at] != ABSENT {
                return Err(output.fault_at(&field.name, "stands there twice"));
            }
            if let Err(error) = map.next_value_seed(Seed { shape, node: field.node, output: &mut *output }) {
                output.steps.push(field.name.clone());
                return Err(error);
            }
            output.ranges[first + at] = (from, output.bytes.len());
            in_order &= at == next;
            next = at + 1;
        }
        if !in_order || next != fields.len() {
            output.put_in_order(shape, fields, first, start)?;
        }
        output.ranges.truncate(first);
        Ok(())
    }

    fn list<'de, A: SeqAccess<'de>>(self, items: NodeId, mut list: A) -> Result<(), A::Error> {
        let (shape, output) = (self.shape, self.output);
        let mut count = 0_usize;
        loop {
            // A block per item: its count is known before its items are.
            let block = output.bytes.len();
            put_long(output.bytes, 1);
            match list.next_element_seed(Seed { shape, node: items, output: &mut *output }) {
                Ok(Some(())) => count += 1,
                Ok(None) => {
                    output.bytes.truncate(block);
                    put_long(output.bytes, 0);
                    return Ok(());
                }
                Err(error) => {
                    output.steps.push(format!("[{count}]"));
                    return Err(error);
                }
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape.node(self.node).wanted(self.shape))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        let Node::Nullable { null, .. } = self.shape.node(self.node) else { return Err(self.wrong("null")) };
        self.output.bytes.push(null << 1);
        Ok(())
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        let Node::Boolean = self.inner() else { return Err(self.wrong(if value { "true" } else { "false" })) };
        self.output.bytes.push(u8::from(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.number(value),
            Err(_) => Err(self.wrong(&format!("the number {value}"))),
        }
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        let Node::Double = self.inner() else { return Err(self.wrong(&format!("the number {value}"))) };
        self.output.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        let node = self.inner();
        if let Node::String = node {
            put_length(self.output.bytes, value.len());
            self.output.bytes.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        let Some(number) = number_of(node, value) else {
            // Enough to recognise it by; payloads do not belong into logs.
            let quoted: String = value.chars().take(40).collect();
            return Err(self.wrong(&format!("the text {quoted:?}")));
        };
        put_long(self.output.bytes, number);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let Node::Record(fields) = self.inner() else { return Err(self.wrong("an object")) };
        self.record(fields, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, list: A) -> Result<(), A::Error> {
        let Node::Array(items) = self.inner() else { return Err(self.wrong("a list")) };
        self.list(*items, list)
    }
}

/// The number that a text stands for where the schema has one.
fn number_of(node: &Node, text: &str) -> Option<i64> {
    match node {
        Node::TimestampMicros => time::micros(text),
        Node::Date => time::days(text).map(i64::from),
        Node::Enum(symbols) => i64::try_from(symbols.iter().position(|symbol| symbol == text)?).ok(),
        Node::Boolean
        | Node::Int
        | Node::Long
        | Node::Double
        | Node::String
        | Node::Array(_)
        | Node::Record(_)
        | Node::Nullable { .. } => None,
    }
}

/// Takes in a field's name: says which field it is.
struct Key<'s, 'o> {
    fields: &'s [Field],
    /// The likeliest field.
    next: usize,
    output: &'s mut Output<'o>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = usize;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let (known, likely) = self.fields.split_at(self.next);
        let is_it = |field: &Field| field.name == name;
        match likely.iter().position(is_it) {
            Some(at) => Ok(self.next + at),
            None => known.iter().position(is_it).ok_or_else(|| self.output.fault_at(name, "is not in the schema")),
        }
    }
}
