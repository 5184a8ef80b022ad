//! The binary format of `COPY`, as Postgres sends it.
//!
//! ```text
//! signature (11 bytes) | flags u32 | length u32, extension      once
//! columns i16 | (length i32 or -1, value) per column            per row
//! -1 i16                                                        once
//! ```
//! Chunks are cut anywhere; what has arrived is kept until its row is whole, so memory is bounded by the largest row.

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// The flags that a reader must know, and this one knows none of.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
const HEADER: usize = SIGNATURE.len() + 8;
/// What was read is dropped from the buffer when it is at least this much, in bytes.
const COMPACT_THRESHOLD: usize = 256 << 10;

/// Bytes that are no binary `COPY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The beginning is another one.
    #[error("the signature is missing")]
    Signature,
    /// Something in the header changes the format in a way that is not known here.
    #[error("the flags {0:#x} are not known")]
    Flags(u32),
    /// A row has another number of columns than was asked for.
    #[error("a row has {found} columns instead of {expected}")]
    Columns {
        /// How many it has.
        found: i16,
        /// How many were asked for.
        expected: usize,
    },
    /// A value cannot be so long.
    #[error("a value has the length {0}")]
    Length(i32),
    /// There is more behind the end.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// The end is missing.
    #[error("it breaks off within or behind row {0}")]
    Truncated(u64),
}

/// A row: its values in order; `None` is NULL.
pub(super) type CopyRow<'a, const N: usize> = [Option<&'a [u8]>; N];

/// Takes chunks, gives rows of `N` columns.
#[derive(Debug, Default)]
pub(super) struct CopyDecoder<const N: usize> {
    buffer: Vec<u8>,
    /// Where in the buffer the next thing starts.
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
    /// Takes the next chunk.
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

    /// The next row, if it has arrived as a whole, and how many bytes it takes.
    ///
    /// # Errors
    /// [`CopyError`] when these are not rows of `N` columns. Ask no more then.
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

    /// To be asked when no chunk will come any more.
    ///
    /// # Errors
    /// [`CopyError::Truncated`] when the end has not arrived.
    pub(super) fn finish(&self) -> Result<(), CopyError> {
        if self.state == CopyState::Ended { Ok(()) } else { Err(CopyError::Truncated(self.rows)) }
    }

    /// Reads the header; `false` if it has not arrived as a whole.
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

/// Bytes that are taken from the front.
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
