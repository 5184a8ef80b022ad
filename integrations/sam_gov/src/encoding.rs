//! Bytes as text. Extracts are UTF-8, but those that went through a spreadsheet on Windows are in Windows-1252.
//!
//! Nothing in a file says which one it is, and its first row that tells may be its last. So each row is taken for UTF-8, and
//! for Windows-1252 where it cannot be UTF-8, unless the source has shown that it is UTF-8 (by a character of several bytes):
//! then a row that is not is a damaged one.

use std::borrow::Cow;

/// What a source is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceEncoding {
    /// UTF-8, and Windows-1252 where rows cannot be UTF-8 and the source has not shown to be.
    #[default]
    Auto,
    /// UTF-8; other rows are rejected.
    Utf8,
    /// Windows-1252, and with it ISO 8859-1.
    Windows1252,
}

/// The characters of 0x80 to 0x9f. Five bytes have none.
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
    windows_rows: u64,
}

impl TextDecoder {
    pub(super) fn new(encoding: SourceEncoding) -> Self {
        Self { encoding, is_utf8: false, windows_rows: 0 }
    }

    /// Rows that were taken for Windows-1252 without having been told so.
    pub(super) fn guessed_row_count(&self) -> u64 {
        self.windows_rows
    }

    /// The fields of a row; `None` where they are no text.
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
        let shows_utf8 = self.is_utf8 || fields.iter().any(|field| holds_utf8(field));
        if self.encoding == SourceEncoding::Utf8 || shows_utf8 {
            return None;
        }
        let texts = fields.iter().map(|field| decode_windows_1252(field)).collect::<Option<Vec<_>>>()?;
        self.windows_rows += 1;
        Some(texts)
    }

    /// A record that is one text.
    pub(super) fn decode_text<'a>(&mut self, record: &'a [u8]) -> Option<Cow<'a, str>> {
        self.decode_fields(&[record])?.pop()
    }
}

/// Whether there is a whole character of several bytes among bytes that are not all UTF-8.
fn holds_utf8(bytes: &[u8]) -> bool {
    bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii())
}

fn decode_windows_1252(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if bytes.is_ascii() {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let character = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252_HIGH[usize::from(*byte - 0x80)],
        _ => Some(char::from(*byte)),
    };
    bytes.iter().map(character).collect::<Option<String>>().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTED: &[u8] = b"\x93Beds\x94 \x96 \xa7 12, Se\xf1or";

    #[test]
    fn what_cannot_be_utf_8_is_windows_1252() {
        let mut decoder = TextDecoder::new(SourceEncoding::Auto);
        assert_eq!(decoder.decode_text(b"Beds").as_deref(), Some("Beds"));
        assert_eq!(decoder.decode_text(QUOTED).as_deref(), Some("“Beds” – § 12, Señor"));
        assert_eq!(decoder.decode_text(b"no such character: \x81"), None);
        assert_eq!(decoder.guessed_row_count(), 1);
    }

    #[test]
    fn a_source_that_has_shown_to_be_utf_8_stays_so() {
        let mut decoder = TextDecoder::new(SourceEncoding::Auto);
        assert!(decoder.decode_text("Mayagüez".as_bytes()).is_some());
        assert_eq!(decoder.decode_text(QUOTED), None);
        assert_eq!(
            TextDecoder::new(SourceEncoding::Auto).decode_fields(&["Mayagüez".as_bytes(), QUOTED]),
            None,
            "in one row, too"
        );
    }

    #[test]
    fn what_was_named_counts() {
        assert_eq!(TextDecoder::new(SourceEncoding::Utf8).decode_text(QUOTED), None);
        let mut decoder = TextDecoder::new(SourceEncoding::Windows1252);
        assert_eq!(decoder.decode_text("ü".as_bytes()).as_deref(), Some("Ã¼"));
        assert_eq!(decoder.guessed_row_count(), 0, "that was no guess");
    }
}
