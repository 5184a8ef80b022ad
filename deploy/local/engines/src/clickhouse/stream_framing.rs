//! Joins the chunks of a streamed result, each a document with its own header, into one document.

use axum::body::Bytes;

use super::chdb_ffi::ResultBuffer;

/// How a format's documents are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFraming {
    /// Rows (or blocks) only: chunks follow one another.
    Rows,
    /// One or two header lines, which only the first chunk retains.
    Lines(usize),
    /// The same, with line breaks possible within double quotes (CSV).
    QuotedLines(usize),
    /// `RowBinaryWithNames`: the number of columns, then their names.
    Names,
    /// `RowBinaryWithNamesAndTypes`: the number of columns, their names, their types.
    NamesAndTypes,
}

impl StreamFraming {
    /// The framing of a format; `None` for one that cannot be streamed (JSON, Pretty, Parquet and others).
    pub(super) fn from_format(format: &str) -> Option<Self> {
        let format = format.to_ascii_lowercase();
        let text = ["tabseparatedraw", "tabseparated", "tsvraw", "tsv", "jsoncompacteachrow"];
        match text.iter().find_map(|text| format.strip_prefix(text)).unwrap_or(&format) {
            "withnames" => Some(Self::Lines(1)),
            "withnamesandtypes" => Some(Self::Lines(2)),
            "csvwithnames" => Some(Self::QuotedLines(1)),
            "csvwithnamesandtypes" => Some(Self::QuotedLines(2)),
            "" | "csv" | "rowbinary" | "native" | "jsoneachrow" | "jsonlines" | "ndjson" | "jsonstringseachrow" => {
                Some(Self::Rows)
            }
            "rowbinarywithnames" => Some(Self::Names),
            "rowbinarywithnamesandtypes" => Some(Self::NamesAndTypes),
            _ => None,
        }
    }

    fn header_length(self, chunk: &[u8]) -> Option<usize> {
        match self {
            Self::Rows => Some(0),
            Self::Lines(lines) => lines_length(chunk, lines, QuoteHandling::Plain),
            Self::QuotedLines(lines) => lines_length(chunk, lines, QuoteHandling::Enclose),
            Self::Names => strings_length(chunk, 1),
            Self::NamesAndTypes => strings_length(chunk, 2),
        }
    }
}

/// Joins chunks as they arrive.
#[derive(Debug)]
pub(super) struct ChunkJoiner {
    framing: StreamFraming,
    header: Option<Bytes>,
}

impl ChunkJoiner {
    pub(super) fn new(framing: StreamFraming) -> Self {
        Self { framing, header: None }
    }

    /// Returns the part of the chunk to send; an error if a chunk does not repeat the first one's header.
    pub(super) fn join(&mut self, chunk: ResultBuffer) -> Result<Bytes, String> {
        let mut chunk = Bytes::from_owner(chunk);
        match &self.header {
            None => {
                let length = self.framing.header_length(&chunk).ok_or("the engine's first chunk has no header")?;
                self.header = Some(chunk.slice(..length));
                Ok(chunk)
            }
            Some(header) if chunk.starts_with(header) => Ok(chunk.split_off(header.len())),
            Some(_) => Err("a chunk of the engine's result has another header than the first".to_owned()),
        }
    }
}

/// The meaning of a double quote in a header line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum QuoteHandling {
    Plain,
    Enclose,
}

fn lines_length(chunk: &[u8], lines: usize, handling: QuoteHandling) -> Option<usize> {
    let mut is_quoted = false;
    let mut ends = chunk.iter().enumerate().filter_map(|(at, byte)| {
        is_quoted ^= *byte == b'"' && handling == QuoteHandling::Enclose;
        (*byte == b'\n' && !is_quoted).then_some(at + 1)
    });
    ends.nth(lines.checked_sub(1)?)
}

/// Length of a column count and the given number of strings per column.
fn strings_length(chunk: &[u8], per_column: usize) -> Option<usize> {
    let (columns, mut at) = read_varint(chunk, 0)?;
    for _ in 0..columns.checked_mul(per_column)? {
        let (length, start) = read_varint(chunk, at)?;
        at = start.checked_add(length).filter(|end| *end <= chunk.len())?;
    }
    Some(at)
}

fn read_varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_with_an_envelope_are_not_streamed() {
        for format in ["JSON", "JSONCompact", "Pretty", "Parquet", "XML", "Arrow", "TSKV", "CSVWithNamesAndMore"] {
            assert_eq!(StreamFraming::from_format(format), None, "{format}");
        }
    }

    #[test]
    fn the_length_of_headers_is_found() {
        assert_eq!(StreamFraming::Rows.header_length(b"1\n2\n"), Some(0));
        assert_eq!(StreamFraming::QuotedLines(1).header_length(b"\"a\nb\"\n1\n"), Some(6));
        assert_eq!(StreamFraming::Lines(2).header_length(b"a\tb\nInt8\tInt8\n1\t2\n"), Some(14));
        assert_eq!(StreamFraming::NamesAndTypes.header_length(b"\x01\x01a\x05UInt8\x01\x01"), Some(9));
        assert_eq!(StreamFraming::Names.header_length(b"\x02\x01a\x01bxx"), Some(5));
        assert_eq!(StreamFraming::NamesAndTypes.header_length(b"\x01\x05a"), None);
    }
}
