//! Decoder of the binary `COPY` format that Postgres sends.
//!
//! ```text
//! signature (11 bytes) | flags u32 | length u32, extension      once
//! columns i16 | (length i32 or -1, value) per column            per row
//! -1 i16                                                        once
//! ```
//! Chunks may be cut anywhere. Bytes are buffered until their row is complete, so the largest row bounds the memory.

use crate::error::CopyError;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Mask of the critical flags, which a reader must understand. This decoder supports none of them.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
const HEADER: usize = SIGNATURE.len() + 8;
/// Decoded bytes are dropped from the buffer once there are this many.
const COMPACT_THRESHOLD: usize = 256 << 10;

/// The values of a row, in the order of the columns; `None` is NULL.
pub(super) type CopyRow<'a, const N: usize> = [Option<&'a [u8]>; N];

/// Turns chunks into rows of `N` columns.
#[derive(Debug, Default)]
pub(super) struct CopyDecoder<const N: usize> {
    buffer: Vec<u8>,
    /// Offset in the buffer of the first byte that is not decoded.
    start: usize,
    state: CopyState,
    rows: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CopyState {
    #[default]
    Header,
    Rows,
    Ended,
}

impl<const N: usize> CopyDecoder<N> {
    /// Adds the next chunk to the buffer.
    pub(super) fn push_chunk(&mut self, chunk: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start >= COMPACT_THRESHOLD {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// Returns the next row and its size in bytes; `None` until the row is complete, and after the trailer.
    ///
    /// # Errors
    /// [`CopyError`] when the bytes are not rows of `N` columns. The decoder must not be used after an error.
    pub(super) fn next_row(&mut self) -> Result<Option<(CopyRow<'_, N>, usize)>, CopyError> {
        if self.state == CopyState::Header && !self.read_header()? {
            return Ok(None);
        }
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if self.state == CopyState::Ended {
            return if rest.is_empty() { Ok(None) } else { Err(CopyError::Trailing(rest.len())) };
        }
        let mut cursor = ByteCursor(rest);
        let Some(columns) = cursor.take_array().map(i16::from_be_bytes) else { return Ok(None) };
        if columns == -1 {
            self.state = CopyState::Ended;
            self.start += 2;
            return if cursor.0.is_empty() { Ok(None) } else { Err(CopyError::Trailing(cursor.0.len())) };
        }
        if usize::try_from(columns) != Ok(N) {
            return Err(CopyError::Columns { found: columns, expected: N });
        }
        let mut row = [None; N];
        for value in &mut row {
            let Some(length) = cursor.take_array().map(i32::from_be_bytes) else { return Ok(None) };
            *value = match usize::try_from(length) {
                Ok(length) => match cursor.take(length) {
                    Some(bytes) => Some(bytes),
                    None => return Ok(None),
                },
                Err(_) if length == -1 => None,
                Err(_) => return Err(CopyError::Length(length)),
            };
        }
        let size = rest.len() - cursor.0.len();
        self.start += size;
        self.rows += 1;
        Ok(Some((row, size)))
    }

    /// Checks that the copy is complete. Call it after the last chunk.
    ///
    /// # Errors
    /// [`CopyError::Truncated`] when the trailer has not arrived.
    pub(super) fn finish(&self) -> Result<(), CopyError> {
        if self.state == CopyState::Ended { Ok(()) } else { Err(CopyError::Truncated(self.rows)) }
    }

    /// Reads the header; `false` until it is complete.
    fn read_header(&mut self) -> Result<bool, CopyError> {
        let mut cursor = ByteCursor(self.buffer.get(self.start..).unwrap_or_default());
        let arrived = cursor.0.len().min(SIGNATURE.len());
        if cursor.take(arrived) != SIGNATURE.get(..arrived) {
            return Err(CopyError::Signature);
        }
        let Some(flags) = cursor.take_array().map(u32::from_be_bytes) else { return Ok(false) };
        if flags & CRITICAL_FLAGS != 0 {
            return Err(CopyError::Flags(flags));
        }
        let Some(extension) = cursor.take_array().map(i32::from_be_bytes) else { return Ok(false) };
        let Ok(length) = usize::try_from(extension) else { return Err(CopyError::Length(extension)) };
        if cursor.take(length).is_none() {
            return Ok(false);
        }
        self.start += HEADER + length;
        self.state = CopyState::Rows;
        Ok(true)
    }
}

/// Takes bytes from the front of a slice; `None` when there are not enough.
struct ByteCursor<'a>(&'a [u8]);

impl<'a> ByteCursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take_array<const L: usize>(&mut self) -> Option<[u8; L]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests;
