//! Reads lib0's encoding (version 1), which Yjs uses for all messages, from untrusted input.
//!
//! Declared lengths are not used to allocate, and numbers that clients read differently are refused: `yrs` wraps
//! numbers to 32 bits, and JavaScript has no exact integers above 2^53.

use crate::error::RefusedUpdate;

/// JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Maximum bytes of a variable-length number: 64 bits in groups of seven.
const MAX_NUMBER_BYTES: u32 = 10;

/// A cursor over bytes.
#[derive(Debug, Clone)]
pub(crate) struct WireReader<'a> {
    rest: &'a [u8],
}

impl<'a> WireReader<'a> {
    /// Creates a reader at the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all bytes are read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails when bytes are left.
    pub(crate) fn finish(&self) -> Result<(), RefusedUpdate> {
        if self.is_at_end() { Ok(()) } else { Err(RefusedUpdate::Malformed) }
    }

    /// Reads one byte.
    pub(crate) fn read_byte(&mut self) -> Result<u8, RefusedUpdate> {
        let (first, rest) = self.rest.split_first().ok_or(RefusedUpdate::Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Reads `length` bytes.
    pub(crate) fn read_slice(&mut self, length: usize) -> Result<&'a [u8], RefusedUpdate> {
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(RefusedUpdate::Malformed)?;
        self.rest = rest;
        Ok(slice)
    }

    /// Reads an unsigned variable-length number, up to [`MAX_SAFE_INTEGER`].
    pub(crate) fn read_number(&mut self) -> Result<u64, RefusedUpdate> {
        let mut number = 0_u64;
        for index in 0..MAX_NUMBER_BYTES {
            let byte = self.read_byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(index * 7).filter(|shifted| shifted >> (index * 7) == bits);
            number |= shifted.ok_or(RefusedUpdate::Malformed)?;
            if byte < 0x80 {
                return if number <= MAX_SAFE_INTEGER { Ok(number) } else { Err(RefusedUpdate::Malformed) };
            }
        }
        Err(RefusedUpdate::Malformed)
    }

    /// Reads a clock. It must fit in 31 bits, since clients subtract clocks.
    pub(crate) fn read_clock(&mut self) -> Result<u32, RefusedUpdate> {
        let number = self.read_number()?;
        u32::try_from(number).ok().filter(|clock| i32::try_from(*clock).is_ok()).ok_or(RefusedUpdate::Malformed)
    }

    /// Reads a count of elements of at least `size` bytes each; fails when there are fewer bytes than that.
    pub(crate) fn read_count(&mut self, size: usize) -> Result<usize, RefusedUpdate> {
        let count = usize::try_from(self.read_number()?).map_err(|_| RefusedUpdate::Malformed)?;
        if count <= self.rest.len() / size.max(1) { Ok(count) } else { Err(RefusedUpdate::Malformed) }
    }

    /// Reads length-prefixed bytes.
    pub(crate) fn read_bytes(&mut self) -> Result<&'a [u8], RefusedUpdate> {
        let length = self.read_count(1)?;
        self.read_slice(length)
    }

    /// Reads length-prefixed UTF-8 text; the length is in bytes.
    pub(crate) fn read_text(&mut self) -> Result<&'a str, RefusedUpdate> {
        std::str::from_utf8(self.read_bytes()?).map_err(|_| RefusedUpdate::Malformed)
    }

    /// Skips a signed variable-length number.
    pub(crate) fn skip_signed_number(&mut self) -> Result<(), RefusedUpdate> {
        // The sign and six bits, then seven bits per byte, up to the bits of a JavaScript integer.
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
    fn numbers_that_clients_read_differently_are_refused() {
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
    fn a_declared_length_is_checked_against_the_remaining_bytes() {
        let declared = [0xff, 0xff, 0xff, 0x3e, 1, 2, 3];
        assert_eq!(WireReader::new(&declared).read_bytes(), Err(RefusedUpdate::Malformed));
        assert_eq!(WireReader::new(&declared).read_count(2), Err(RefusedUpdate::Malformed));
        assert_eq!(WireReader::new(&[2, b'o', b'k']).read_text(), Ok("ok"));
        assert_eq!(WireReader::new(&[2, 0xff, 0xfe]).read_text(), Err(RefusedUpdate::Malformed));
    }
}
