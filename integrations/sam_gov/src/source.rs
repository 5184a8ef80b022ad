//! Opens a source: decompresses gzip, skips a byte order mark, and detects the format from the first bytes.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Cursor, ErrorKind, Read},
};

use flate2::bufread::MultiGzDecoder;

use super::{SourceError, SourceReader};

/// Number of bytes that are read ahead to detect compression and format.
const PEEK_BYTES: usize = 16 << 10;
const BUFFER_BYTES: usize = 64 << 10;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// Keys that occur only in lines of the text format.
const LINE_KEYS: [&[u8]; 2] = [b"\"notice_id\"", b"\"h_posted\""];

/// The format of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFormat {
    /// The 47-column extract `ContractOpportunitiesFullCSV.csv`.
    Csv,
    /// Responses of the SAM.gov Get Opportunities Public API: pages, lists of pages or notices, single notices.
    Json,
    /// The text format: one JSON object per line.
    Ndjson,
}

/// Opens a source as uncompressed bytes. Gzip, also with several members, is decompressed while reading.
///
/// Blocks until the first 16 KiB are read or the source ends.
///
/// # Errors
/// [`SourceError`] when it is empty, a directory, damaged gzip or unreadable.
pub fn open_source(reader: impl Read + Send + 'static) -> Result<SourceReader, SourceError> {
    let (first, reader) = peek_bytes(reader)?;
    if !first.starts_with(GZIP_MAGIC) {
        return skip_byte_order_mark(first, reader);
    }
    let compressed = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first).chain(reader));
    let (first, reader) = peek_bytes(GzipReader(MultiGzDecoder::new(compressed)))?;
    skip_byte_order_mark(first, reader)
}

/// Detects the format of a source that [`open_source`] returned, without consuming bytes.
///
/// # Errors
/// [`SourceError`] when it is empty, unreadable, or evidently of another format: a PDF, a zip archive, binary data.
pub fn detect_format(reader: &mut (impl BufRead + ?Sized)) -> Result<SourceFormat, SourceError> {
    let start = peek_beginning(reader)?.trim_ascii_start();
    if contains(start, b"\"opportunitiesData\"") {
        return Ok(SourceFormat::Json);
    }
    Ok(match start.first() {
        Some(b'{') if LINE_KEYS.iter().any(|key| contains(start, key)) => SourceFormat::Ndjson,
        Some(b'{' | b'[') => SourceFormat::Json,
        _ => SourceFormat::Csv,
    })
}

/// Returns the first bytes of a source without consuming them; fails if the source is empty or evidently not text.
pub(super) fn peek_beginning(reader: &mut (impl BufRead + ?Sized)) -> Result<&[u8], SourceError> {
    let bytes = reader.fill_buf().map_err(read_error)?;
    if bytes.is_empty() {
        return Err(SourceError::Empty);
    }
    match detect_foreign_format(bytes) {
        Some(found) => Err(SourceError::NotThisFormat { expected: "SAM.gov notices as CSV, JSON or NDJSON", found }),
        None => Ok(bytes),
    }
}

/// The format of bytes that are evidently not text.
fn detect_foreign_format(bytes: &[u8]) -> Option<&'static str> {
    // A few NUL bytes only make their rows invalid.
    let nuls: usize = bytes.iter().map(|byte| usize::from(*byte == 0)).sum();
    match bytes {
        [b'P', b'K', 3 | 5, ..] => Some("a zip archive (unpack it first)"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16 text (convert it to UTF-8 first)"),
        _ if nuls * 20 > bytes.len() => Some("binary data"),
        _ => None,
    }
}

/// Classifies an I/O error: a directory, damaged gzip, or another failure to read.
pub(super) fn read_error(error: io::Error) -> SourceError {
    if error.kind() == ErrorKind::IsADirectory {
        return SourceError::Directory;
    }
    if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<DamagedGzip>) {
        return SourceError::BrokenGzip(error);
    }
    SourceError::Read(error)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Reads ahead up to [`PEEK_BYTES`]; a pipe may deliver them in several reads.
fn peek_bytes<R: Read>(mut reader: R) -> Result<(Vec<u8>, R), SourceError> {
    let mut first = Vec::with_capacity(PEEK_BYTES);
    reader.by_ref().take(PEEK_BYTES as u64).read_to_end(&mut first).map_err(read_error)?;
    if first.is_empty() {
        return Err(SourceError::Empty);
    }
    Ok((first, reader))
}

fn skip_byte_order_mark(first: Vec<u8>, reader: impl Read + Send + 'static) -> Result<SourceReader, SourceError> {
    let skip = if first.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    if first.len() == skip && skip > 0 {
        return Err(SourceError::Empty);
    }
    let mut first = Cursor::new(first);
    first.set_position(skip as u64);
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, first.chain(reader))))
}

/// Wraps errors of the compressed data in [`DamagedGzip`], to distinguish them from errors of the disk.
struct GzipReader<R>(R);

#[derive(Debug, thiserror::Error)]
#[error("the gzip data is damaged or truncated")]
struct DamagedGzip(#[source] io::Error);

impl<R: Read> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_damage =
            |kind| matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof);
        self.0.read(buffer).map_err(|error| match error.kind() {
            kind if is_damage(kind) => io::Error::new(kind, DamagedGzip(error)),
            _ => error,
        })
    }
}
