//! Reads the encoding of lib0 (version 1), in which Yjs sends everything, without trusting a byte of it.
//!
//! No number that a sender names is a reason to allocate, and numbers that clients read differently are refused: `yrs`
//! lets numbers of 32 bits wrap, JavaScript has none above 2^53.

use crate::error::RefusedUpdate;

/// The largest whole number that JavaScript tells from its neighbours.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The most bytes of a number of variable length: 64 bits in groups of seven.
const MAX_NUMBER_BYTES: u32 = 10;

/// A place in bytes that are read from their beginning to their end.
#[derive(Debug, Clone)]
pub(crate) struct WireReader<'a> {
    rest: &'a [u8],
}

impl<'a> WireReader<'a> {
    /// At the beginning of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything is read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses what is left.
    pub(crate) fn finish(&self) -> Result<(), RefusedUpdate> {
        if self.is_at_end() { Ok(()) } else { Err(RefusedUpdate::Malformed) }
    }

    /// One byte.
    pub(crate) fn read_byte(&mut self) -> Result<u8, RefusedUpdate> {
        let (first, rest) = self.rest.split_first().ok_or(RefusedUpdate::Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    /// That many bytes.
    pub(crate) fn read_slice(&mut self, length: usize) -> Result<&'a [u8], RefusedUpdate> {
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(RefusedUpdate::Malformed)?;
        self.rest = rest;
        Ok(slice)
    }

    /// A whole number of variable length, up to [`MAX_SAFE_INTEGER`].
    pub(crate) fn read_number(&mut self) -> Result<u64, RefusedUpdate> {
        let mut number = 0_u64;
        for place in 0..MAX_NUMBER_BYTES {
            let byte = self.read_byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(place * 7).filter(|shifted| shifted >> (place * 7) == bits);
            number |= shifted.ok_or(RefusedUpdate::Malformed)?;
            if byte < 0x80 {
                return if number <= MAX_SAFE_INTEGER { Ok(number) } else { Err(RefusedUpdate::Malformed) };
            }
        }
        Err(RefusedUpdate::Malformed)
    }

    /// A whole number that has room in 31 bits: clocks are subtracted from one another.
    pub(crate) fn read_clock(&mut self) -> Result<u32, RefusedUpdate> {
        let number = self.read_number()?;
        u32::try_from(number).ok().filter(|clock| i32::try_from(*clock).is_ok()).ok_or(RefusedUpdate::Malformed)
    }

    /// How many things follow, of which each takes `size` bytes at least: never more than there are bytes for.
    pub(crate) fn read_count(&mut self, size: usize) -> Result<usize, RefusedUpdate> {
        let count = usize::try_from(self.read_number()?).map_err(|_| RefusedUpdate::Malformed)?;
        if count <= self.rest.len() / size.max(1) { Ok(count) } else { Err(RefusedUpdate::Malformed) }
    }

    /// Bytes with their length before them.
    pub(crate) fn read_bytes(&mut self) -> Result<&'a [u8], RefusedUpdate> {
        let length = self.read_count(1)?;
        self.read_slice(length)
    }

    /// Text with its length in bytes before it.
    pub(crate) fn read_text(&mut self) -> Result<&'a str, RefusedUpdate> {
        std::str::from_utf8(self.read_bytes()?).map_err(|_| RefusedUpdate::Malformed)
    }

    /// Passes over a signed number of variable length.
    pub(crate) fn skip_signed_number(&mut self) -> Result<(), RefusedUpdate> {
        // A sign and six bits come first, seven bits with each further byte, as many as a JavaScript number has.
        for _ in 0..MAX_NUMBER_BYTES - 1 {
            if self.read_byte()? < 0x80 {
                return Ok(());
            }
        }
        Err(RefusedUpdate::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_every_client_reads_them_or_not_at_all() {
        let read = |bytes: &[u8]| WireReader::new(bytes).read_number().ok();
        assert_eq!(read(&[0]), Some(0));
        assert_eq!(read(&[0x80, 0x01]), Some(128));
        assert_eq!(read(&[0x80, 0x80, 0x00]), Some(0));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some(MAX_SAFE_INTEGER));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]), None, "2^53");
        assert_eq!(read(&[0x80; 12]), None);
        assert_eq!(read(&[0xff; 10]), None);
        assert_eq!(read(&[0x80]), None);
        let clock = |bytes: &[u8]| WireReader::new(bytes).read_clock().ok();
        assert_eq!(clock(&[0xff, 0xff, 0xff, 0xff, 0x07]), Some(0x7fff_ffff));
        assert_eq!(clock(&[0x80, 0x80, 0x80, 0x80, 0x08]), None, "2^31");
        assert_eq!(clock(&[0x81, 0x80, 0x80, 0x80, 0x10]), None, "yrs would read 1");
    }

    #[test]
    fn a_length_is_believed_only_where_the_bytes_are_there() {
        let declared = [0xff, 0xff, 0xff, 0x3e, 1, 2, 3];
        assert_eq!(WireReader::new(&declared).read_bytes(), Err(RefusedUpdate::Malformed));
        assert_eq!(WireReader::new(&declared).read_count(2), Err(RefusedUpdate::Malformed));
        assert_eq!(WireReader::new(&[2, b'o', b'k']).read_text(), Ok("ok"));
        assert_eq!(WireReader::new(&[2, 0xff, 0xfe]).read_text(), Err(RefusedUpdate::Malformed));
    }
}
