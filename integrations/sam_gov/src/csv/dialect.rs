//! Detects the delimiter of a file: spreadsheets write semicolons or tabs where the comma is the decimal separator.

/// Number of bytes at the beginning of a file that the dialect is detected from.
const MAX_DETECTION_BYTES: usize = 8 << 10;

/// How a CSV file separates its fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CsvDialect {
    /// The byte between fields.
    pub(super) delimiter: u8,
    /// Whether the first line declares the delimiter, as `sep=;`, and the header follows it.
    pub(super) has_separator_line: bool,
}

/// Detects the dialect from the first line: no column name contains a delimiter.
pub(super) fn detect_dialect(beginning: &[u8]) -> CsvDialect {
    let beginning = beginning.get(..MAX_DETECTION_BYTES).unwrap_or(beginning);
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter @ (b',' | b';' | b'\t' | b'|')] = line {
        return CsvDialect { delimiter: *delimiter, has_separator_line: true };
    }
    let count = |delimiter: u8| line.split(|byte| *byte == delimiter).count();
    let mut delimiter = b',';
    for other in [b';', b'\t', b'|'] {
        if count(other) > count(delimiter) {
            delimiter = other;
        }
    }
    CsvDialect { delimiter, has_separator_line: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_delimiter_of_the_first_line_is_detected() {
        let plain = |delimiter| CsvDialect { delimiter, has_separator_line: false };
        for (text, dialect) in [
            ("a,b,c\n1;2;3;4", plain(b',')),
            ("a;b;c\r\n1,2", plain(b';')),
            ("a\tb\n", plain(b'\t')),
            ("\"a\"|b|c", plain(b'|')),
            ("", plain(b',')),
            ("sep=;\r\na;b", CsvDialect { delimiter: b';', has_separator_line: true }),
        ] {
            assert_eq!(detect_dialect(text.as_bytes()), dialect, "{text:?}");
        }
    }
}
