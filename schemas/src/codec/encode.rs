//! Encodes JSON text as Avro in one pass.
//!
//! Fields may come in any order. Each value is appended to the output as it comes, after those of the fields that are
//! absent so far. A record whose fields come in the schema's order is complete then; any other is reordered at its end.
//! A text in the plain form (module `plain_json`) is encoded without a JSON parser.

mod plain_json;

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::{
    SchemaMismatchError,
    schema_tree::{NodeId, RecordFieldNode, SchemaNode, SchemaTree},
    time,
};

/// The range of a field that has not come yet.
const ABSENT: (usize, usize) = (usize::MAX, 0);

/// Encodes a JSON text and appends it; appends nothing if the text does not match the schema.
pub(crate) fn encode_payload(tree: &SchemaTree, json: &str, into: &mut Vec<u8>) -> Result<(), SchemaMismatchError> {
    encode_node(tree, 0, json, into)
}

/// Like [`encode_payload`], for one node of the schema.
pub(super) fn encode_node(
    tree: &SchemaTree,
    node: NodeId,
    json: &str,
    into: &mut Vec<u8>,
) -> Result<(), SchemaMismatchError> {
    let before = into.len();
    if plain_json::encode_plain_json(tree, node, json, into).is_some() {
        return Ok(());
    }
    into.truncate(before);
    encode_general_json(tree, node, json, into)
}

/// Encodes any JSON text.
fn encode_general_json(
    tree: &SchemaTree,
    node: NodeId,
    json: &str,
    into: &mut Vec<u8>,
) -> Result<(), SchemaMismatchError> {
    let before = into.len();
    let mut output =
        DatumWriter { bytes: into, ranges: Vec::new(), spare: Vec::new(), steps: Vec::new(), failure: None };
    let mut reader = serde_json::Deserializer::from_str(json);
    let outcome = NodeSeed { tree, node, output: &mut output }.deserialize(&mut reader).and_then(|()| reader.end());
    let Err(error) = outcome else { return Ok(()) };
    let DatumWriter { bytes, steps, failure, .. } = output;
    bytes.truncate(before);
    Err(SchemaMismatchError::at_path(&steps, failure.unwrap_or_else(|| format!("cannot be read as JSON: {error}"))))
}

/// Appends a number in Avro's encoding: zigzag, seven bits per byte.
fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // The length of a text in memory always fits an i64.
    put_long(bytes, i64::try_from(length).unwrap_or(i64::MAX));
}

struct DatumWriter<'o> {
    bytes: &'o mut Vec<u8>,
    /// The ranges in `bytes` of the fields of all open records, outer records first.
    ranges: Vec<(usize, usize)>,
    /// Buffer for reordering fields.
    spare: Vec<u8>,
    /// The path of the failure, innermost step first.
    steps: Vec<String>,
    failure: Option<String>,
}

impl DatumWriter<'_> {
    fn mismatch<E: Error>(&mut self, reason: String) -> E {
        self.failure.get_or_insert(reason);
        E::custom("schema mismatch")
    }

    fn mismatch_at<E: Error>(&mut self, step: &str, reason: &str) -> E {
        self.steps.push(step.to_owned());
        self.mismatch(reason.to_owned())
    }

    /// Appends the values of absent fields; `false` if one of them must not be absent.
    fn put_absent(&mut self, fields: &[RecordFieldNode]) -> bool {
        fields.iter().all(|field| {
            let absent = field.absent.as_deref();
            self.bytes.extend_from_slice(absent.unwrap_or_default());
            absent.is_some()
        })
    }

    /// Reorders the fields that begin at `start` as in the schema, and adds absent ones.
    fn put_fields_in_order<E: Error>(
        &mut self,
        tree: &SchemaTree,
        fields: &[RecordFieldNode],
        first: usize,
        start: usize,
    ) -> Result<(), E> {
        let spare = self.spare.len();
        self.spare.extend_from_slice(&self.bytes[start..]);
        self.bytes.truncate(start);
        for (at, field) in fields.iter().enumerate() {
            match (self.ranges[first + at], &field.absent) {
                (ABSENT, Some(absent)) => self.bytes.extend_from_slice(absent),
                (ABSENT, None) => {
                    let expected = tree.node(field.node).describe_expected(tree);
                    return Err(self.mismatch_at(&field.name, &format!("is missing; expected {expected}")));
                }
                ((from, to), _) => self.bytes.extend_from_slice(&self.spare[spare + from - start..spare + to - start]),
            }
        }
        self.spare.truncate(spare);
        Ok(())
    }
}

/// Encodes the value of one node.
struct NodeSeed<'s, 'o> {
    tree: &'s SchemaTree,
    node: NodeId,
    output: &'s mut DatumWriter<'o>,
}

impl<'s> NodeSeed<'s, '_> {
    /// The node of a value that is not null; writes the branch of a union.
    fn unwrap_nullable(&mut self) -> &'s SchemaNode {
        let node = self.tree.node(self.node);
        let SchemaNode::Nullable { null, inner } = node else { return node };
        self.output.bytes.push((1 - null) << 1);
        self.tree.node(*inner)
    }

    fn type_mismatch<E: Error>(self, found: &str) -> E {
        let expected = self.tree.node(self.node).describe_expected(self.tree);
        self.output.mismatch(format!("expected {expected}, found {found}"))
    }

    fn encode_number<E: Error>(mut self, number: i64) -> Result<(), E> {
        let node = self.unwrap_nullable();
        if matches!(node, SchemaNode::Long) || matches!(node, SchemaNode::Int) && i32::try_from(number).is_ok() {
            put_long(self.output.bytes, number);
        } else if matches!(node, SchemaNode::Double) {
            #[expect(clippy::cast_precision_loss, reason = "JSON does not tell 3 from 3.0")]
            self.output.bytes.extend_from_slice(&(number as f64).to_le_bytes());
        } else {
            return Err(self.type_mismatch(&format!("the number {number}")));
        }
        Ok(())
    }

    fn encode_record<'de, A: MapAccess<'de>>(self, fields: &[RecordFieldNode], mut map: A) -> Result<(), A::Error> {
        let (tree, output) = (self.tree, self.output);
        let (first, start) = (output.ranges.len(), output.bytes.len());
        output.ranges.resize(first + fields.len(), ABSENT);
        let (mut next, mut in_order) = (0, true);
        while let Some(at) = map.next_key_seed(FieldKeySeed { fields, next, output: &mut *output })? {
            let field = &fields[at];
            if output.ranges[first + at] != ABSENT {
                return Err(output.mismatch_at(&field.name, "occurs twice"));
            }
            in_order = in_order && at >= next && output.put_absent(&fields[next..at]);
            let from = output.bytes.len();
            if let Err(error) = map.next_value_seed(NodeSeed { tree, node: field.node, output: &mut *output }) {
                output.steps.push(field.name.clone());
                return Err(error);
            }
            output.ranges[first + at] = (from, output.bytes.len());
            next = at + 1;
        }
        if !in_order || !output.put_absent(&fields[next..]) {
            output.put_fields_in_order(tree, fields, first, start)?;
        }
        output.ranges.truncate(first);
        Ok(())
    }

    fn encode_array<'de, A: SeqAccess<'de>>(self, items: NodeId, mut list: A) -> Result<(), A::Error> {
        let (tree, output) = (self.tree, self.output);
        let mut count = 0_usize;
        loop {
            // One block per item: the count has to be written before the items, and their number is not known yet.
            let block = output.bytes.len();
            put_long(output.bytes, 1);
            match list.next_element_seed(NodeSeed { tree, node: items, output: &mut *output }) {
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

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tree.node(self.node).describe_expected(self.tree))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        let SchemaNode::Nullable { null, .. } = self.tree.node(self.node) else {
            return Err(self.type_mismatch("null"));
        };
        self.output.bytes.push(null << 1);
        Ok(())
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        let SchemaNode::Boolean = self.unwrap_nullable() else {
            return Err(self.type_mismatch(if value { "true" } else { "false" }));
        };
        self.output.bytes.push(u8::from(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.encode_number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.encode_number(value),
            Err(_) => Err(self.type_mismatch(&format!("the number {value}"))),
        }
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        let SchemaNode::Double = self.unwrap_nullable() else {
            return Err(self.type_mismatch(&format!("the number {value}")));
        };
        self.output.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        let node = self.unwrap_nullable();
        if let SchemaNode::String = node {
            put_length(self.output.bytes, value.len());
            self.output.bytes.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        let Some(number) = parse_number(node, value) else {
            // The beginning is enough to recognise the value; logs must not contain payloads.
            let quoted: String = value.chars().take(40).collect();
            return Err(self.type_mismatch(&format!("the text {quoted:?}")));
        };
        put_long(self.output.bytes, number);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let SchemaNode::Record(fields) = self.unwrap_nullable() else { return Err(self.type_mismatch("an object")) };
        self.encode_record(fields, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, list: A) -> Result<(), A::Error> {
        let SchemaNode::Array(items) = self.unwrap_nullable() else { return Err(self.type_mismatch("a list")) };
        self.encode_array(*items, list)
    }
}

/// The number that Avro stores for a text of this node, if it stores one.
fn parse_number(node: &SchemaNode, text: &str) -> Option<i64> {
    match node {
        SchemaNode::TimestampMicros => time::parse_micros(text),
        SchemaNode::Date => time::parse_days(text).map(i64::from),
        SchemaNode::Enum(symbols) => i64::try_from(symbols.iter().position(|symbol| symbol == text)?).ok(),
        SchemaNode::Boolean
        | SchemaNode::Int
        | SchemaNode::Long
        | SchemaNode::Double
        | SchemaNode::String
        | SchemaNode::Array(_)
        | SchemaNode::Record(_)
        | SchemaNode::Nullable { .. } => None,
    }
}

/// Finds the field of a name.
struct FieldKeySeed<'s, 'o> {
    fields: &'s [RecordFieldNode],
    /// The field that is expected next.
    next: usize,
    output: &'s mut DatumWriter<'o>,
}

impl<'de> DeserializeSeed<'de> for FieldKeySeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldKeySeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let (earlier, later) = self.fields.split_at(self.next);
        let has_name = |field: &RecordFieldNode| field.name == name;
        match later.iter().position(has_name) {
            Some(at) => Ok(self.next + at),
            None => {
                earlier.iter().position(has_name).ok_or_else(|| self.output.mismatch_at(name, "is not in the schema"))
            }
        }
    }
}
