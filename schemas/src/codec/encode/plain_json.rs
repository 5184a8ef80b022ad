//! Encodes JSON text in the plain form: fields in the order of the schema, nothing between tokens, whole numbers.
//!
//! That is what `serde_json` writes for events, and so nearly all of the log. Since the schema says what has to come next,
//! there is nothing to recognise: keys are compared as text, and values are read as the type that is expected. Any other
//! text is left to the general encoder, which also finds what is wrong with it.

use std::borrow::Cow;

use super::{parse_number, put_length, put_long};
use crate::codec::{
    decode::find_escaped,
    schema_tree::{NodeId, RecordFieldNode, SchemaNode, SchemaTree},
};

/// How deeply values may be nested; the general encoder allows more.
const MAX_DEPTH: u32 = 64;

/// Encodes a JSON text and appends it; `None` if the text is not in the plain form or does not match the schema. Then a part
/// of it may have been appended.
pub(super) fn encode_plain_json(tree: &SchemaTree, node: NodeId, json: &str, into: &mut Vec<u8>) -> Option<()> {
    let mut encoder = PlainJsonEncoder { tree, rest: json, output: into };
    encoder.encode_value(node, MAX_DEPTH)?;
    encoder.rest.is_empty().then_some(())
}

struct PlainJsonEncoder<'s, 'j, 'o> {
    tree: &'s SchemaTree,
    /// The text that is not encoded yet.
    rest: &'j str,
    output: &'o mut Vec<u8>,
}

impl<'j> PlainJsonEncoder<'_, 'j, '_> {
    /// Takes this text from the front.
    fn take(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn encode_value(&mut self, node: NodeId, depth: u32) -> Option<()> {
        let tree = self.tree;
        match tree.node(node) {
            SchemaNode::Nullable { null, inner } => {
                if self.take("null").is_some() {
                    self.output.push(null << 1);
                    return Some(());
                }
                self.output.push((1 - null) << 1);
                self.encode_value(*inner, depth)?;
            }
            SchemaNode::String => {
                let text = self.take_text()?;
                put_length(self.output, text.len());
                self.output.extend_from_slice(text.as_bytes());
            }
            SchemaNode::Boolean => {
                let value = self.take("true").is_some();
                if !value {
                    self.take("false")?;
                }
                self.output.push(u8::from(value));
            }
            SchemaNode::Int => {
                let number = self.take_number()?;
                put_long(self.output, i32::try_from(number).ok()?.into());
            }
            SchemaNode::Long => {
                let number = self.take_number()?;
                put_long(self.output, number);
            }
            stored_as_number @ (SchemaNode::Date | SchemaNode::TimestampMicros | SchemaNode::Enum(_)) => {
                let text = self.take_text()?;
                put_long(self.output, parse_number(stored_as_number, &text)?);
            }
            SchemaNode::Array(items) => self.encode_array(*items, depth.checked_sub(1)?)?,
            SchemaNode::Record(fields) => self.encode_record(fields, depth.checked_sub(1)?)?,
            SchemaNode::Double => return None,
        }
        Some(())
    }

    fn encode_record(&mut self, fields: &[RecordFieldNode], depth: u32) -> Option<()> {
        self.take("{")?;
        let mut is_first = true;
        for field in fields {
            let next = if is_first { Some(self.rest) } else { self.rest.strip_prefix(',') };
            if let Some(rest) = next.and_then(|next| next.strip_prefix(field.json_key.as_str())) {
                (self.rest, is_first) = (rest, false);
                self.encode_value(field.node, depth)?;
            } else {
                self.output.extend_from_slice(field.absent.as_deref()?);
            }
        }
        self.take("}")
    }

    /// Writes a block for each item, as the general encoder does: equal values have equal bytes.
    fn encode_array(&mut self, items: NodeId, depth: u32) -> Option<()> {
        self.take("[")?;
        let mut is_first = true;
        while self.take("]").is_none() {
            if !is_first {
                self.take(",")?;
            }
            is_first = false;
            put_long(self.output, 1);
            self.encode_value(items, depth)?;
        }
        put_long(self.output, 0);
        Some(())
    }

    fn take_number(&mut self) -> Option<i64> {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let sign = self.rest.len() - digits.len();
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at_checked(sign + count)?;
        // JSON has no zeros in front; -0, a fraction and an exponent make another number than a whole one.
        if rest.starts_with(['.', 'e', 'E']) || (digits.starts_with('0') && sign + count > 1) {
            return None;
        }
        self.rest = rest;
        number.parse().ok()
    }

    fn take_text(&mut self) -> Option<Cow<'j, str>> {
        let start = self.rest.strip_prefix('"')?;
        let (mut end, mut has_escapes) = (0, false);
        loop {
            end += find_escaped(start.as_bytes().get(end..)?)?;
            match start.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => (end, has_escapes) = (end + 2, true),
                _control_character => return None,
            }
        }
        let (text, quoted) = (start.get(..end)?, self.rest.get(..end + 2)?);
        self.rest = start.get(end + 1..)?;
        if has_escapes { serde_json::from_str(quoted).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::encode_general_json, *};
    use crate::{
        codec::EventDecoder,
        fixture::{any_event, schema_of},
    };

    /// A schema with every type, optional fields and recursion.
    const SCHEMA: &str = r#"{"type":"record","name":"Tree","fields":[
        {"name":"name","type":"string","default":"leaf"},
        {"name":"active","type":["null","boolean"]},
        {"name":"small","type":["int","null"],"default":7},
        {"name":"large","type":"long","default":0},
        {"name":"weight","type":"double","default":1.5},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["oak","elm"]},"default":"oak"},
        {"name":"planted","type":["null",{"type":"int","logicalType":"date"}]},
        {"name":"seen","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
        {"name":"branches","type":{"type":"array","items":"Tree"},"default":[]}
    ]}"#;

    fn encode_plain(json: &str) -> Option<Vec<u8>> {
        let mut avro = vec![];
        encode_plain_json(&SchemaTree::parse(SCHEMA).unwrap(), 0, json, &mut avro).map(|()| avro)
    }

    fn encode_general(json: &str) -> Option<Vec<u8>> {
        let mut avro = vec![];
        encode_general_json(&SchemaTree::parse(SCHEMA).unwrap(), 0, json, &mut avro).ok().map(|()| avro)
    }

    proptest! {
        #[test]
        fn events_are_encoded_as_by_the_general_encoder(event in any_event()) {
            let (json, schema) = (serde_json::to_string(&event).unwrap(), schema_of(&event).json);
            let (tree, mut plain, mut general) = (SchemaTree::parse(schema).unwrap(), vec![], vec![]);
            encode_general_json(&tree, 0, &json, &mut general).unwrap();
            // Fractions are left to the general encoder.
            if encode_plain_json(&tree, 0, &json, &mut plain).is_some() {
                prop_assert_eq!(plain, general);
            } else {
                prop_assert!(schema.contains("\"double\""), "{}", json);
            }
        }

        #[test]
        fn a_damaged_text_is_encoded_as_by_the_general_encoder_or_not(
            at in any::<prop::sample::Index>(),
            byte in prop::sample::select(b"\",:{}[]\\-.0129eEntu \x01".to_vec()),
        ) {
            let mut json = br#"{"name":"a\n\u00e9","active":true,"small":-12,"large":907,"branches":[{},{"name":"","active":null}]}"#.to_vec();
            *at.get_mut(&mut json) = byte;
            let json = String::from_utf8(json).unwrap();
            if let Some(plain) = encode_plain(&json) {
                prop_assert_eq!(Some(plain), encode_general(&json), "{}", json);
            }
        }
    }

    #[test]
    fn texts_in_the_plain_form_are_encoded() {
        for json in [
            "{}",
            r#"{"name":"quoted \"oak\", \\ \u00e9 \ud83d\ude00\n","kind":"elm"}"#,
            r#"{"active":false,"small":null,"large":-9223372036854775808,"planted":"2026-03-01","seen":"2026-03-01T12:00:00Z"}"#,
            r#"{"active":null,"small":0,"branches":[{"branches":[{}]},{"name":"b"}]}"#,
        ] {
            let plain = encode_plain(json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(Some(&plain), encode_general(json).as_ref(), "{json}");
            assert!(EventDecoder::parse(SCHEMA).unwrap().decode_to_json(&plain).is_ok());
        }
    }

    #[test]
    fn other_texts_are_left_to_the_general_encoder() {
        for json in [
            "{ }",
            "{} ",
            r#"{"kind":"elm","name":"in another order"}"#,
            r#"{"name":"twice","name":"twice"}"#,
            r#"{"n\u0061me":"with an escaped key"}"#,
            r#"{"weight":2}"#,
            r#"{"large":9223372036854775808}"#,
            r#"{"large":-0}"#,
            r#"{"large":01}"#,
            r#"{"large":1.0}"#,
            r#"{"large":1e3}"#,
            r#"{"small":3000000000}"#,
            r#"{"kind":"ash"}"#,
            r#"{"planted":"2026-02-30"}"#,
            r#"{"name":"half a pair \ud83d"}"#,
            r#"{"name":"open"#,
            r#"{"name":"open\"#,
            r#"{"branches":[{},]}"#,
            r#"{"name":"a",}"#,
        ] {
            assert_eq!(encode_plain(json), None, "{json}");
        }
        let nested = |depth: usize| format!("{}{{}}{}", r#"{"branches":["#.repeat(depth), "]}".repeat(depth));
        assert!(encode_plain(&nested(20)).is_some());
        assert_eq!(encode_plain(&nested(100_000)), None);
    }
}
