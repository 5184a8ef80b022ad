//! The Confluent wire format: a zero byte, the schema id in four bytes (big-endian), then the Avro datum.

/// A value that is not in the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first byte is not zero.
    #[error("the value begins with byte {0:#04x} instead of the zero byte of the Confluent wire format")]
    Magic(u8),
    /// The value ends before the schema id does.
    #[error("the value has {0} bytes; the Confluent wire format needs at least five")]
    Short(usize),
}

/// Appends the zero byte and the schema id; the datum has to follow.
pub fn write_frame(id: u32, into: &mut Vec<u8>) {
    into.push(0);
    into.extend_from_slice(&id.to_be_bytes());
}

/// Splits a value into schema id and datum.
///
/// # Errors
/// [`WireError`] when it is not in the wire format.
pub fn split_frame(value: &[u8]) -> Result<(u32, &[u8]), WireError> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [0, ..] | [] => Err(WireError::Short(value.len())),
        [first, ..] => Err(WireError::Magic(*first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_frame_is_split_into_id_and_datum() {
        let mut value = Vec::new();
        write_frame(70_000, &mut value);
        value.extend_from_slice(b"datum");
        assert_eq!(value[..5], [0, 0, 1, 0x11, 0x70]);
        assert_eq!(split_frame(&value), Ok((70_000, b"datum".as_slice())));
    }

    #[test]
    fn a_value_without_frame_is_refused() {
        assert_eq!(split_frame(b"{}"), Err(WireError::Magic(b'{')));
        assert_eq!(split_frame(&[0, 0, 1]), Err(WireError::Short(3)));
        assert_eq!(split_frame(&[]), Err(WireError::Short(0)));
    }
}
