//! Tells how a file separates its fields: spreadsheets write semicolons or tabs where the comma is for decimals.

/// The longest beginning that is looked at, in bytes.
const LOOKED_AT: usize = 8 << 10;

/// How a file is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What stands between fields.
    pub(super) delimiter: u8,
    /// Whether the first line says so, as `sep=;`, and is no header.
    pub(super) names_itself: bool,
}

/// Tells it from the first line: names of columns hold none of the delimiters.
pub(super) fn tell(beginning: &[u8]) -> Dialect {
    let beginning = beginning.get(..LOOKED_AT).unwrap_or(beginning);
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter @ (b',' | b';' | b'\t' | b'|')] = line {
        return Dialect { delimiter: *delimiter, names_itself: true };
    }
    let count = |delimiter: u8| line.split(|byte| *byte == delimiter).count();
    let mut delimiter = b',';
    for other in [b';', b'\t', b'|'] {
        if count(other) > count(delimiter) {
            delimiter = other;
        }
    }
    Dialect { delimiter, names_itself: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_delimiter_of_the_first_line_counts() {
        let plain = |delimiter| Dialect { delimiter, names_itself: false };
        for (text, dialect) in [
            ("a,b,c\n1;2;3;4", plain(b',')),
            ("a;b;c\r\n1,2", plain(b';')),
            ("a\tb\n", plain(b'\t')),
            ("\"a\"|b|c", plain(b'|')),
            ("", plain(b',')),
            ("sep=;\r\na;b", Dialect { delimiter: b';', names_itself: true }),
        ] {
            assert_eq!(tell(text.as_bytes()), dialect, "{text:?}");
        }
    }
}
