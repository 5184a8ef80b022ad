//! Decodes Avro as JSON text in one pass. The input is not trusted: a length is checked against the bytes that are
//! left before it is used.

use std::fmt::Write as _;

use domain::time_text;

use super::{
    SchemaMismatchError,
    schema_tree::{NodeId, RecordFieldNode, SchemaNode, SchemaTree},
    time,
};

/// Maximum depth of a value of a recursive schema.
const MAX_DEPTH: usize = 128;

/// Maximum number of values for each byte of a datum, plus the same number for the datum itself. A byte at the maximum
/// depth is in that many values; only records without fields, which take no bytes, could exceed it.
const MAX_VALUES_PER_BYTE: usize = MAX_DEPTH + 1;

/// Decodes a complete datum.
pub(super) fn decode_datum(tree: &SchemaTree, avro: &[u8]) -> Result<String, SchemaMismatchError> {
    let mut input = DatumReader {
        rest: avro,
        json: String::with_capacity(avro.len() + avro.len() / 2 + 64),
        values_left: MAX_VALUES_PER_BYTE.saturating_mul(avro.len().saturating_add(1)),
    };
    match input.read_value(tree, 0, 0) {
        Ok(()) if input.rest.is_empty() => Ok(input.json),
        Ok(()) => Err(SchemaMismatchError::at_path(&[], format!("has {} extra bytes", input.rest.len()))),
        Err(DecodeFailure { steps, reason }) => Err(SchemaMismatchError::at_path(&steps, reason)),
    }
}

/// Why a value cannot be decoded, with the steps of its path, innermost first.
struct DecodeFailure {
    steps: Vec<String>,
    reason: String,
}

impl DecodeFailure {
    fn new(reason: impl Into<String>) -> Self {
        Self { steps: vec![], reason: reason.into() }
    }

    fn in_step(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

struct DatumReader<'a> {
    rest: &'a [u8],
    json: String,
    values_left: usize,
}

impl<'a> DatumReader<'a> {
    fn read_value(&mut self, tree: &SchemaTree, node: NodeId, depth: usize) -> Result<(), DecodeFailure> {
        if depth > MAX_DEPTH {
            return Err(DecodeFailure::new("is nested too deeply"));
        }
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or_else(|| DecodeFailure::new("has more values than its bytes can hold"))?;
        match tree.node(node) {
            SchemaNode::Boolean => self.read_boolean(),
            SchemaNode::Int => self.read_int().map(|number| self.write_number(number)),
            SchemaNode::Long => self.read_long().map(|number| self.write_number(number)),
            SchemaNode::Double => self.read_double(),
            SchemaNode::String => self.read_string(),
            SchemaNode::Date => self.read_date(),
            SchemaNode::TimestampMicros => self.read_timestamp(),
            SchemaNode::Enum(symbols) => self.read_enum(symbols),
            SchemaNode::Array(items) => self.read_array(tree, *items, depth),
            SchemaNode::Record(fields) => self.read_record(tree, fields, depth),
            SchemaNode::Nullable { null, inner } => {
                if self.read_is_null(*null)? {
                    self.json.push_str("null");
                    return Ok(());
                }
                self.read_value(tree, *inner, depth + 1)
            }
        }
    }

    fn read_record(
        &mut self,
        tree: &SchemaTree,
        fields: &[RecordFieldNode],
        depth: usize,
    ) -> Result<(), DecodeFailure> {
        let mut separator = '{';
        for field in fields {
            // A null that is left out of the JSON is one byte: the branch of null.
            if field.omitted.is_some_and(|null| self.rest.first() == Some(&(null << 1))) {
                self.rest = &self.rest[1..];
                continue;
            }
            self.json.push(separator);
            self.json.push_str(&field.json_key);
            self.read_value(tree, field.node, depth + 1).map_err(|failure| failure.in_step(&field.name))?;
            separator = ',';
        }
        self.json.push_str(if separator == '{' { "{}" } else { "}" });
        Ok(())
    }

    fn read_array(&mut self, tree: &SchemaTree, items: NodeId, depth: usize) -> Result<(), DecodeFailure> {
        self.json.push('[');
        let mut at = 0_usize;
        loop {
            let mut count = self.read_long()?;
            if count == 0 {
                self.json.push(']');
                return Ok(());
            }
            if count < 0 {
                // A negative count is followed by the block's size in bytes.
                count = count.saturating_neg();
                self.read_long()?;
            }
            let left = self.rest.len();
            let count = usize::try_from(count).ok().filter(|count| *count <= left);
            for _ in 0..count.ok_or_else(|| DecodeFailure::new(format!("has more items than the {left} bytes left")))? {
                if at > 0 {
                    self.json.push(',');
                }
                self.read_value(tree, items, depth + 1).map_err(|failure| failure.in_step(format!("[{at}]")))?;
                at += 1;
            }
        }
    }

    fn read_boolean(&mut self) -> Result<(), DecodeFailure> {
        match self.take_bytes(1)? {
            [0] => self.json.push_str("false"),
            [1] => self.json.push_str("true"),
            other => return Err(DecodeFailure::new(format!("the byte {other:?} is not a boolean"))),
        }
        Ok(())
    }

    fn read_double(&mut self) -> Result<(), DecodeFailure> {
        let bytes = self.take_bytes(8)?.try_into().map_err(|_| DecodeFailure::new("ends too early"))?;
        let number = serde_json::Number::from_f64(f64::from_le_bytes(bytes));
        self.write_number(number.ok_or_else(|| DecodeFailure::new("JSON has no number that is not finite"))?);
        Ok(())
    }

    fn read_string(&mut self) -> Result<(), DecodeFailure> {
        let length = self.read_long()?;
        let bytes = usize::try_from(length).map_err(|_| DecodeFailure::new(format!("has the length {length}")))?;
        let text = std::str::from_utf8(self.take_bytes(bytes)?).map_err(|_| DecodeFailure::new("is not UTF-8"))?;
        write_quoted(text, &mut self.json);
        Ok(())
    }

    fn read_date(&mut self) -> Result<(), DecodeFailure> {
        let days = self.read_int()?;
        let date =
            time::date_from_days(days).ok_or_else(|| DecodeFailure::new(format!("day {days} is out of range")))?;
        self.json.push('"');
        time_text::write_date(date, &mut self.json);
        self.json.push('"');
        Ok(())
    }

    fn read_timestamp(&mut self) -> Result<(), DecodeFailure> {
        let micros = self.read_long()?;
        let time = time::time_from_micros(micros)
            .ok_or_else(|| DecodeFailure::new(format!("microsecond {micros} is out of range")))?;
        self.json.push('"');
        time_text::write_time(time, &mut self.json);
        self.json.push('"');
        Ok(())
    }

    fn read_enum(&mut self, symbols: &[String]) -> Result<(), DecodeFailure> {
        let at = self.read_long()?;
        let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
        write_quoted(
            symbol.ok_or_else(|| DecodeFailure::new(format!("has symbol {at} of {}", symbols.len())))?,
            &mut self.json,
        );
        Ok(())
    }

    fn read_is_null(&mut self, null: u8) -> Result<bool, DecodeFailure> {
        match self.read_long()? {
            branch @ (0 | 1) => Ok(branch == i64::from(null)),
            branch => Err(DecodeFailure::new(format!("has branch {branch} of two"))),
        }
    }

    fn read_int(&mut self) -> Result<i32, DecodeFailure> {
        let number = self.read_long()?;
        i32::try_from(number).map_err(|_| DecodeFailure::new(format!("{number} has more than 32 bits")))
    }

    fn read_long(&mut self) -> Result<i64, DecodeFailure> {
        let mut number = 0_u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(DecodeFailure::new(if self.rest.len() < 10 {
            "ends too early"
        } else {
            "has a number of more than 64 bits"
        }))
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<&'a [u8], DecodeFailure> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(|| {
            DecodeFailure::new(format!("ends too early: {bytes} bytes expected, {} left", self.rest.len()))
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn write_number(&mut self, value: impl std::fmt::Display) {
        // Writing to a string never fails.
        let _ = write!(self.json, "{value}");
    }
}

/// Appends a text as a JSON string, escaped as `serde_json` does.
fn write_quoted(text: &str, json: &mut String) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = find_escaped(rest.as_bytes()) {
        json.push_str(&rest[..at]);
        write_escaped(rest.as_bytes()[at], json);
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

/// The position of the first byte that is escaped. Texts are long, and few bytes are: eight are looked at at once.
pub(super) fn find_escaped(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Sets the high bit of each byte that is below the limit. A borrow can set the bits of later bytes only, and the
        // first one counts.
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH_BITS;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let escaped = below(word, 0x20) | equal(b'"') | equal(b'\\');
        if escaped != 0 {
            return Some(8 * index + escaped.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| ESCAPED[usize::from(*byte)]).map(|at| 8 * words.len() + at)
}

/// The bytes that are escaped in JSON strings.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

fn write_escaped(byte: u8, json: &mut String) {
    match byte {
        b'"' => json.push_str("\\\""),
        b'\\' => json.push_str("\\\\"),
        b'\n' => json.push_str("\\n"),
        b'\r' => json.push_str("\\r"),
        b'\t' => json.push_str("\\t"),
        0x08 => json.push_str("\\b"),
        0x0c => json.push_str("\\f"),
        control => {
            let _ = write!(json, "\\u{control:04x}");
        }
    }
}
