//! Decodes rows to text. Extracts are UTF-8, but those that a spreadsheet on Windows has saved are Windows-1252.
//!
//! A file does not declare its encoding, and the first row that shows it may be the last row. So each row is decoded as
//! UTF-8, or as Windows-1252 if it is not valid UTF-8. Once a row contains a UTF-8 character of several bytes, the
//! source is UTF-8, and a row that is not valid UTF-8 is damaged.

use std::borrow::Cow;

/// The encoding of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceEncoding {
    /// UTF-8; Windows-1252 if a row is not valid UTF-8 and no row before it was evidently UTF-8.
    #[default]
    Auto,
    /// UTF-8; other rows are rejected.
    Utf8,
    /// Windows-1252, and with it ISO 8859-1.
    Windows1252,
}

/// The characters of the bytes 0x80 to 0x9f in Windows-1252. Five of these bytes have none.
const WINDOWS_1252_HIGH: [Option<char>; 32] = [
    Some('€'),
    None,
    Some('‚'),
    Some('ƒ'),
    Some('„'),
    Some('…'),
    Some('†'),
    Some('‡'),
    Some('ˆ'),
    Some('‰'),
    Some('Š'),
    Some('‹'),
    Some('Œ'),
    None,
    Some('Ž'),
    None,
    None,
    Some('‘'),
    Some('’'),
    Some('“'),
    Some('”'),
    Some('•'),
    Some('–'),
    Some('—'),
    Some('˜'),
    Some('™'),
    Some('š'),
    Some('›'),
    Some('œ'),
    None,
    Some('ž'),
    Some('Ÿ'),
];

/// Decodes the rows of one source.
#[derive(Debug)]
pub(super) struct TextDecoder {
    encoding: SourceEncoding,
    is_utf8: bool,
    guessed_rows: u64,
}

impl TextDecoder {
    pub(super) fn new(encoding: SourceEncoding) -> Self {
        Self { encoding, is_utf8: false, guessed_rows: 0 }
    }

    /// Number of rows that were decoded as Windows-1252 under [`SourceEncoding::Auto`].
    pub(super) fn guessed_row_count(&self) -> u64 {
        self.guessed_rows
    }

    /// Decodes the fields of a row; `None` if they are not valid in the encoding.
    pub(super) fn decode_fields<'a>(&mut self, fields: &[&'a [u8]]) -> Option<Vec<Cow<'a, str>>> {
        if self.encoding == SourceEncoding::Windows1252 {
            return fields.iter().map(|field| decode_windows_1252(field)).collect();
        }
        let texts: Option<Vec<_>> =
            fields.iter().map(|field| std::str::from_utf8(field).ok().map(Cow::Borrowed)).collect();
        if let Some(texts) = texts {
            self.is_utf8 |= texts.iter().any(|text| !text.is_ascii());
            return Some(texts);
        }
        let is_utf8 = self.is_utf8 || fields.iter().any(|field| contains_utf8(field));
        if self.encoding == SourceEncoding::Utf8 || is_utf8 {
            return None;
        }
        let texts = fields.iter().map(|field| decode_windows_1252(field)).collect::<Option<Vec<_>>>()?;
        self.guessed_rows += 1;
        Some(texts)
    }

    /// Decodes a record that is one text.
    pub(super) fn decode_text<'a>(&mut self, record: &'a [u8]) -> Option<Cow<'a, str>> {
        self.decode_fields(&[record])?.pop()
    }
}

/// Whether bytes that are not all UTF-8 contain a whole UTF-8 character of several bytes.
fn contains_utf8(bytes: &[u8]) -> bool {
    bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii())
}

fn decode_windows_1252(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if bytes.is_ascii() {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let to_character = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252_HIGH[usize::from(*byte - 0x80)],
        _ => Some(char::from(*byte)),
    };
    bytes.iter().map(to_character).collect::<Option<String>>().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTED: &[u8] = b"\x93Beds\x94 \x96 \xa7 12, Se\xf1or";

    #[test]
    fn rows_that_are_not_utf_8_are_decoded_as_windows_1252() {
        let mut decoder = TextDecoder::new(SourceEncoding::Auto);
        assert_eq!(decoder.decode_text(b"Beds").as_deref(), Some("Beds"));
        assert_eq!(decoder.decode_text(QUOTED).as_deref(), Some("“Beds” – § 12, Señor"));
        assert_eq!(decoder.decode_text(b"no such character: \x81"), None);
        assert_eq!(decoder.guessed_row_count(), 1);
    }

    #[test]
    fn a_source_with_a_utf_8_character_is_not_decoded_as_windows_1252() {
        let mut decoder = TextDecoder::new(SourceEncoding::Auto);
        assert!(decoder.decode_text("Mayagüez".as_bytes()).is_some());
        assert_eq!(decoder.decode_text(QUOTED), None);
        assert_eq!(
            TextDecoder::new(SourceEncoding::Auto).decode_fields(&["Mayagüez".as_bytes(), QUOTED]),
            None,
            "also if both are in one row"
        );
    }

    #[test]
    fn a_configured_encoding_is_used_for_every_row() {
        assert_eq!(TextDecoder::new(SourceEncoding::Utf8).decode_text(QUOTED), None);
        let mut decoder = TextDecoder::new(SourceEncoding::Windows1252);
        assert_eq!(decoder.decode_text("ü".as_bytes()).as_deref(), Some("Ã¼"));
        assert_eq!(decoder.guessed_row_count(), 0, "a configured encoding is not a guess");
    }
}
