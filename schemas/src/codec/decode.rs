//! Avro to JSON text in one pass. Bytes are not trusted: no length is believed before the bytes are there.

use std::fmt::Write as _;

use super::{
    MisfitError,
    shape::{Field, Node, NodeId, Shape},
    time,
};

/// How deep a value of a recursive schema may go.
const DEEPEST: usize = 128;

/// The JSON text of a whole datum.
pub(super) fn decode(shape: &Shape, avro: &[u8]) -> Result<String, MisfitError> {
    let mut input = Input { rest: avro, json: String::with_capacity(avro.len() + avro.len() / 2 + 64) };
    match input.value(shape, 0, 0) {
        Ok(()) if input.rest.is_empty() => Ok(input.json),
        Ok(()) => Err(MisfitError::at(&[], format!("{} bytes are left over", input.rest.len()))),
        Err(Fault { steps, reason }) => Err(MisfitError::at(&steps, reason)),
    }
}

/// What cannot be read, and the way there from the inside out.
struct Fault {
    steps: Vec<String>,
    reason: String,
}

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self { steps: vec![], reason: reason.into() }
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

struct Input<'a> {
    rest: &'a [u8],
    json: String,
}

impl<'a> Input<'a> {
    fn value(&mut self, shape: &Shape, node: NodeId, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST {
            return Err(Fault::new("nests too deep"));
        }
        match shape.node(node) {
            Node::Boolean => self.boolean(),
            Node::Int => self.int().map(|number| self.print(number)),
            Node::Long => self.long().map(|number| self.print(number)),
            Node::Double => self.double(),
            Node::String => self.text(),
            Node::Date => self.date(),
            Node::TimestampMicros => self.time(),
            Node::Enum(symbols) => self.symbol(symbols),
            Node::Array(items) => self.list(shape, *items, depth),
            Node::Record(fields) => self.record(shape, fields, depth),
            Node::Nullable { null, inner } => {
                if self.is_null(*null)? {
                    self.json.push_str("null");
                    return Ok(());
                }
                self.value(shape, *inner, depth + 1)
            }
        }
    }

    fn record(&mut self, shape: &Shape, fields: &[Field], depth: usize) -> Result<(), Fault> {
        let mut separator = '{';
        for field in fields {
            // What is left out of the JSON has one byte, which says so.
            if field.omitted.is_some_and(|null| self.rest.first() == Some(&(null << 1))) {
                self.rest = &self.rest[1..];
                continue;
            }
            self.json.push(separator);
            self.json.push_str(&field.json_key);
            self.value(shape, field.node, depth + 1).map_err(|fault| fault.within(&field.name))?;
            separator = ',';
        }
        self.json.push_str(if separator == '{' { "{}" } else { "}" });
        Ok(())
    }

    fn list(&mut self, shape: &Shape, items: NodeId, depth: usize) -> Result<(), Fault> {
        self.json.push('[');
        let mut at = 0_usize;
        loop {
            let mut count = self.long()?;
            if count == 0 {
                self.json.push(']');
                return Ok(());
            }
            if count < 0 {
                // A negative count is followed by the block's size in bytes.
                count = count.saturating_neg();
                self.long()?;
            }
            let left = self.rest.len();
            let count = usize::try_from(count).ok().filter(|count| *count <= left);
            for _ in 0..count.ok_or_else(|| Fault::new(format!("says it is longer than the {left} bytes left")))? {
                if at > 0 {
                    self.json.push(',');
                }
                self.value(shape, items, depth + 1).map_err(|fault| fault.within(format!("[{at}]")))?;
                at += 1;
            }
        }
    }

    fn boolean(&mut self) -> Result<(), Fault> {
        match self.take(1)? {
            [0] => self.json.push_str("false"),
            [1] => self.json.push_str("true"),
            other => return Err(Fault::new(format!("the byte {other:?} is neither false nor true"))),
        }
        Ok(())
    }

    fn double(&mut self) -> Result<(), Fault> {
        let bytes = self.take(8)?.try_into().map_err(|_| Fault::new("ends too early"))?;
        let number = serde_json::Number::from_f64(f64::from_le_bytes(bytes));
        self.print(number.ok_or_else(|| Fault::new("a number that is not finite has no form in JSON"))?);
        Ok(())
    }

    fn text(&mut self) -> Result<(), Fault> {
        let length = self.long()?;
        let bytes = usize::try_from(length).map_err(|_| Fault::new(format!("has the length {length}")))?;
        let text = std::str::from_utf8(self.take(bytes)?).map_err(|_| Fault::new("is not UTF-8"))?;
        quote(text, &mut self.json);
        Ok(())
    }

    fn date(&mut self) -> Result<(), Fault> {
        let days = self.int()?;
        let date = time::date(days).ok_or_else(|| Fault::new(format!("day {days} is in no calendar")))?;
        self.print(format_args!("\"{date}\""));
        Ok(())
    }

    fn time(&mut self) -> Result<(), Fault> {
        let micros = self.long()?;
        let time = time::time(micros).ok_or_else(|| Fault::new(format!("microsecond {micros} is in no calendar")))?;
        // The same text that chrono's own `Serialize` writes.
        self.print(format_args!("\"{time:?}\""));
        Ok(())
    }

    fn symbol(&mut self, symbols: &[String]) -> Result<(), Fault> {
        let at = self.long()?;
        let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
        quote(symbol.ok_or_else(|| Fault::new(format!("has symbol {at} of {}", symbols.len())))?, &mut self.json);
        Ok(())
    }

    fn is_null(&mut self, null: u8) -> Result<bool, Fault> {
        match self.long()? {
            branch @ (0 | 1) => Ok(branch == i64::from(null)),
            branch => Err(Fault::new(format!("has branch {branch} of two"))),
        }
    }

    fn int(&mut self) -> Result<i32, Fault> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| Fault::new(format!("{number} has more than 32 bits")))
    }

    fn long(&mut self) -> Result<i64, Fault> {
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
        Err(Fault::new(if self.rest.len() < 10 { "ends too early" } else { "has a number of more than 64 bits" }))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or_else(|| Fault::new(format!("ends too early: {bytes} bytes wanted, {} left", self.rest.len())))?;
        self.rest = rest;
        Ok(taken)
    }

    fn print(&mut self, value: impl std::fmt::Display) {
        // Writing to a text never fails.
        let _ = write!(self.json, "{value}");
    }
}

/// Appends a text as JSON, escaped as `serde_json` does.
fn quote(text: &str, json: &mut String) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(|byte| ESCAPED[usize::from(*byte)]) {
        json.push_str(&rest[..at]);
        escape(rest.as_bytes()[at], json);
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

/// The bytes that do not stand for themselves.
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

fn escape(byte: u8, json: &mut String) {
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
