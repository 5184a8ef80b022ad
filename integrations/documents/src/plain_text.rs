//! Reads plain text in the encodings that people use.

use std::borrow::Cow;

use crate::{ExtractionError, ExtractionLimits, FileType, PageText, PageTextSource, page_collector::PageCollector};

/// Reads a text file; form feeds separate pages.
pub(crate) fn read_plain_text(content: &[u8], limits: &ExtractionLimits) -> Result<Vec<PageText>, ExtractionError> {
    let text = decode_text(content, FileType::PlainText)?;
    let mut pages = PageCollector::new(limits);
    for page in text.split('\u{c}') {
        pages.add_page(PageTextSource::Native, page)?;
    }
    pages.into_pages()
}

/// Decodes UTF-8, UTF-16 with its mark, and otherwise Windows-1252.
pub(crate) fn decode_text(content: &[u8], file_type: FileType) -> Result<Cow<'_, str>, ExtractionError> {
    let utf16 = |decode: fn([u8; 2]) -> u16| {
        let (units, rest) = content.as_chunks::<2>();
        let units = units.iter().map(|unit| decode(*unit));
        match String::from_utf16(&units.collect::<Vec<_>>()) {
            Ok(text) if rest.is_empty() => Ok(Cow::Owned(text)),
            _ => Err(ExtractionError::Damaged { file_type, detail: "its UTF-16 is invalid".to_owned() }),
        }
    };
    match content {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => Ok(match str::from_utf8(content) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => content.iter().map(|byte| decode_windows_1252(*byte)).collect(),
        }),
    }
}

/// The characters of Windows-1252 that differ from Latin-1.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn decode_windows_1252(byte: u8) -> char {
    let special = byte.checked_sub(0x80).and_then(|index| WINDOWS_1252.get(usize::from(index)));
    special.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Vec<String> {
        let pages = read_plain_text(content, &ExtractionLimits::default()).unwrap();
        pages.into_iter().map(|page| page.text).collect()
    }

    #[test]
    fn encodings_and_pages_are_read() {
        assert_eq!(read("\u{feff}Guía\u{c}Page 2".as_bytes()), ["Guía", "Page 2"]);
        assert_eq!(read(b"offeror\x92s price \x80 5"), ["offeror’s price € 5"]);
        let utf16: Vec<u8> = "\u{feff}Guía".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&utf16), ["Guía"]);
        assert!(matches!(
            read_plain_text(&utf16[..7], &ExtractionLimits::default()),
            Err(ExtractionError::Damaged { .. })
        ));
    }
}
