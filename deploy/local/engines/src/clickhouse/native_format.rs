//! Format `Native` as clients of the Go driver (Grafana among them) read it: they name their protocol revision
//! (`client_protocol_version`); blocks then have a head, and each column has one more byte. The engine writes neither.

use super::exception::{ClickHouseException, ExceptionCode};

/// Since this revision a column states whether it has a custom serialization.
const CUSTOM_SERIALIZATION: u64 = 54_454;
/// The head of a block without overflow rows and without a bucket.
const BLOCK_HEAD: [u8; 8] = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];

/// Why a block could not be read.
enum BlockError {
    /// The data ends in the middle of the block.
    Truncated,
    /// This server does not know the column's type.
    UnknownType(String),
}

/// Converts the engine's blocks to a protocol revision.
pub(super) fn convert_blocks(blocks: &[u8], revision: u64) -> Result<Vec<u8>, ClickHouseException> {
    let mut written = Vec::with_capacity(blocks.len() + 1_024);
    let mut rest = UnreadBytes(blocks);
    while !rest.0.is_empty() {
        convert_block(&mut rest, revision, &mut written).map_err(|error| match error {
            BlockError::Truncated => {
                ExceptionCode::BadArguments.with_message("the engine's Native format ends in the middle of a block")
            }
            BlockError::UnknownType(name) => ExceptionCode::NotImplemented.with_message(&format!(
                "the local engine does not support type {name} in the Native format with client_protocol_version"
            )),
        })?;
    }
    Ok(written)
}

fn convert_block(rest: &mut UnreadBytes<'_>, revision: u64, written: &mut Vec<u8>) -> Result<(), BlockError> {
    if revision > 0 {
        written.extend(BLOCK_HEAD);
    }
    let before = rest.0;
    let (columns, rows) = (rest.read_varint()?, rest.read_varint()?);
    written.extend(bytes_since(before, rest));
    for _ in 0..columns {
        let before = rest.0;
        rest.read_string()?;
        let kind = String::from_utf8_lossy(rest.read_string()?).into_owned();
        written.extend(bytes_since(before, rest));
        if revision >= CUSTOM_SERIALIZATION {
            written.push(0);
        }
        let before = rest.0;
        if rows > 0 {
            skip_column_prefix(rest, &kind)?;
            skip_values(rest, &kind, rows)?;
        }
        written.extend(bytes_since(before, rest));
    }
    Ok(())
}

fn bytes_since<'a>(before: &'a [u8], rest: &UnreadBytes<'_>) -> &'a [u8] {
    &before[..before.len() - rest.0.len()]
}

/// The bytes that have not been read yet.
struct UnreadBytes<'a>(&'a [u8]);

impl<'a> UnreadBytes<'a> {
    fn skip_bytes(&mut self, bytes: usize) -> Result<&'a [u8], BlockError> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(BlockError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn skip_many(&mut self, number: usize, bytes: usize) -> Result<(), BlockError> {
        self.skip_bytes(number.checked_mul(bytes).ok_or(BlockError::Truncated)?).map(drop)
    }

    fn read_varint(&mut self) -> Result<usize, BlockError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.skip_bytes(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).map_err(|_| BlockError::Truncated);
            }
        }
        Err(BlockError::Truncated)
    }

    fn read_string(&mut self) -> Result<&'a [u8], BlockError> {
        let length = self.read_varint()?;
        self.skip_bytes(length)
    }

    fn read_u64(&mut self) -> Result<u64, BlockError> {
        let bytes = self.skip_bytes(8)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// Splits a type into its name and arguments.
fn parse_type(kind: &str) -> (&str, Vec<&str>) {
    let Some((name, inner)) = kind.split_once('(') else { return (kind, vec![]) };
    let inner = inner.strip_suffix(')').unwrap_or(inner);
    let (mut arguments, mut depth, mut start, mut quoted) = (vec![], 0_i32, 0, false);
    for (at, letter) in inner.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                arguments.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(inner[start..].trim());
    (name, arguments)
}

/// The type of a tuple's element without the element's name.
fn element_type(argument: &str) -> &str {
    let end = argument.find('(').unwrap_or(argument.len());
    argument[..end].rfind(' ').map_or(argument, |space| &argument[space + 1..])
}

/// Skips what precedes a column's values once.
fn skip_column_prefix(rest: &mut UnreadBytes<'_>, kind: &str) -> Result<(), BlockError> {
    let (name, arguments) = parse_type(kind);
    match name {
        "LowCardinality" => rest.skip_bytes(8).map(drop),
        "Array" | "Nullable" | "Map" | "Tuple" => {
            arguments.into_iter().try_for_each(|argument| skip_column_prefix(rest, element_type(argument)))
        }
        _ => Ok(()),
    }
}

/// Skips the values of a column.
fn skip_values(rest: &mut UnreadBytes<'_>, kind: &str, rows: usize) -> Result<(), BlockError> {
    let (name, arguments) = parse_type(kind);
    match name {
        "String" => (0..rows).try_for_each(|_| rest.read_string().map(drop)),
        "Nullable" => {
            rest.skip_bytes(rows)?;
            arguments.into_iter().try_for_each(|inner| skip_values(rest, inner, rows))
        }
        "Array" | "Map" => {
            let mut elements = 0;
            for _ in 0..rows {
                elements = usize::try_from(rest.read_u64()?).map_err(|_| BlockError::Truncated)?;
            }
            arguments.into_iter().try_for_each(|inner| skip_values(rest, inner, elements))
        }
        "Tuple" => arguments.into_iter().try_for_each(|inner| skip_values(rest, element_type(inner), rows)),
        "LowCardinality" if rows > 0 => {
            let width = 1 << (rest.read_u64()? & 0xf);
            let keys = usize::try_from(rest.read_u64()?).map_err(|_| BlockError::Truncated)?;
            let inner = arguments.first().copied().unwrap_or_default();
            // NULL is one of the keys, so the keys themselves are not nullable.
            let inner = if let ("Nullable", [inner]) = (parse_type(inner).0, &parse_type(inner).1[..]) {
                *inner
            } else {
                inner
            };
            skip_values(rest, inner, keys)?;
            let values = usize::try_from(rest.read_u64()?).map_err(|_| BlockError::Truncated)?;
            rest.skip_many(values, width)
        }
        "LowCardinality" => Ok(()),
        _ => {
            let width = value_width(name, &arguments).ok_or_else(|| BlockError::UnknownType(kind.to_owned()))?;
            rest.skip_many(rows, width)
        }
    }
}

/// Bytes of one value of a fixed-width type.
fn value_width(name: &str, arguments: &[&str]) -> Option<usize> {
    let digits = || arguments.first().and_then(|digits| digits.parse::<usize>().ok());
    Some(match name {
        "UInt8" | "Int8" | "Bool" | "Enum8" | "Nothing" => 1,
        "UInt16" | "Int16" | "Date" | "Enum16" | "BFloat16" => 2,
        "UInt32" | "Int32" | "Float32" | "Date32" | "DateTime" | "IPv4" | "Decimal32" | "Time" => 4,
        "UInt64" | "Int64" | "Float64" | "DateTime64" | "Decimal64" | "Time64" => 8,
        "UInt128" | "Int128" | "UUID" | "IPv6" | "Decimal128" => 16,
        "UInt256" | "Int256" | "Decimal256" => 32,
        "FixedString" => digits()?,
        "Decimal" => match digits()? {
            0..=9 => 4,
            10..=18 => 8,
            19..=38 => 16,
            _ => 32,
        },
        _ if name.starts_with("Interval") => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_column(kind: &str, rows: u8, data: &[u8]) -> (Vec<u8>, usize) {
        let mut block = vec![1, rows, 1, b'a', u8::try_from(kind.len()).unwrap()];
        block.extend(kind.as_bytes());
        let end = block.len();
        block.extend(data);
        (block, end)
    }

    #[test]
    fn each_block_gets_a_head_and_each_column_a_byte() {
        let list = [&[1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0][..], b"\x01x\x00\x02yz"].concat();
        let low = [
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..],
            b"\x01x",
            &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        for (kind, data) in [
            ("UInt8", &[1, 2][..]),
            ("DateTime64(6, 'UTC')", &[7; 16]),
            ("Nullable(String)", b"\x00\x01\x01x\x00"),
            ("Tuple(a UInt8, b Decimal(18, 2))", &[7; 18]),
            ("Enum8('a(,' = 1, 'b' = 2)", &[1, 2]),
            ("Array(String)", &list),
            ("LowCardinality(Nullable(String))", &low),
        ] {
            let (block, end) = one_column(kind, 2, data);
            let expected = [&BLOCK_HEAD[..], &block[..end], &[0], data].concat();
            let twice = convert_blocks(&block.repeat(2), 54_483).ok();
            assert_eq!(twice, Some(expected.repeat(2)), "{kind}");
            assert_eq!(convert_blocks(&block, 0).ok(), Some(block), "{kind}");
        }
        assert_eq!(convert_blocks(&[], 54_483).ok(), Some(vec![]));
    }

    #[test]
    fn blocks_that_cannot_be_read_are_refused() {
        assert_eq!(convert_blocks(&one_column("Dynamic", 1, &[0]).0, 1).unwrap_err().code, 48);
        assert_eq!(convert_blocks(&one_column("UInt64", 2, &[0]).0, 1).unwrap_err().code, 36);
        assert_eq!(convert_blocks(&[0xff; 20], 1).unwrap_err().code, 36);
    }
}
