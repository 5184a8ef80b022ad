//! Splits SQL text into the few kinds of tokens that are needed to recognize statements.

/// One token with its position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SqlToken<'a> {
    pub(super) kind: TokenKind<'a>,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset after its last byte.
    pub(super) end: usize,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    /// An unquoted word: keyword or name.
    Word(&'a str),
    /// One character of punctuation.
    Punctuation(u8),
    /// A string, a quoted name, a number or anything else.
    Other,
}

impl SqlToken<'_> {
    /// Compares with a keyword, in upper case.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Compares with a character of punctuation.
    pub(super) fn is_sign(&self, sign: u8) -> bool {
        self.kind == TokenKind::Punctuation(sign)
    }
}

/// Iterates over the tokens of a text, without blanks and comments.
pub(super) struct SqlTokenizer<'a> {
    text: &'a [u8],
    offset: usize,
}

impl<'a> SqlTokenizer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, offset: 0 }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.offset..];
            let skip = match rest {
                [first, ..] if first.is_ascii_whitespace() => 1,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => length_until(rest, b"\n"),
                [b'/', b'*', ..] => 2 + length_until(&rest[2..], b"*/"),
                _ => return,
            };
            self.offset = (self.offset + skip).min(self.text.len());
        }
    }
}

impl<'a> Iterator for SqlTokenizer<'a> {
    type Item = SqlToken<'a>;

    fn next(&mut self) -> Option<SqlToken<'a>> {
        self.skip_blanks();
        let start = self.offset;
        let rest = &self.text[start..];
        let first = *rest.first()?;
        let (kind, length) = match first {
            b'\'' | b'"' | b'`' => (TokenKind::Other, quoted_length(rest, first)),
            b'$' => (TokenKind::Other, heredoc_length(rest)),
            _ if is_word(first) => read_word(rest),
            _ => (TokenKind::Punctuation(first), 1),
        };
        self.offset = (start + length).min(self.text.len());
        Some(SqlToken { kind, start, end: self.offset })
    }
}

fn read_word(rest: &[u8]) -> (TokenKind<'_>, usize) {
    let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    let is_name = !rest[0].is_ascii_digit();
    let kind = std::str::from_utf8(&rest[..length]).ok().filter(|_| is_name).map_or(TokenKind::Other, TokenKind::Word);
    (kind, length)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Length of a quoted token: a backslash escapes the next byte, a doubled quote is part of the content.
fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match *byte {
            b'\\' => at += 2,
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of `$tag$ ... $tag$`, or of a single dollar sign.
fn heredoc_length(rest: &[u8]) -> usize {
    let Some(tag) = rest[1..].iter().position(|byte| *byte == b'$') else { return 1 };
    let (tag, body) = rest.split_at(tag + 2);
    if !tag[1..tag.len() - 1].iter().copied().all(is_word) {
        return 1;
    }
    tag.len() + length_until(body, tag)
}

/// Length up to and including the mark, or of the whole text.
fn length_until(text: &[u8], mark: &[u8]) -> usize {
    text.windows(mark.len()).position(|window| window == mark).map_or(text.len(), |at| at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let text_of = |token: SqlToken<'_>| text.get(token.start..token.end);
        SqlTokenizer::new(text.as_bytes())
            .filter(|token| matches!(token.kind, TokenKind::Word(_)))
            .filter_map(text_of)
            .collect()
    }

    #[test]
    fn words_within_strings_quoted_names_and_comments_are_no_tokens() {
        let text = "SELECT 'it''s \\' FORMAT' AS `a FORMAT b` -- FORMAT\n, \"x\" /* ; */ FROM $q$ ; INSERT $q$ t1";
        assert_eq!(words(text), ["SELECT", "AS", "FROM", "t1"]);
    }

    #[test]
    fn unfinished_tokens_end_with_the_text() {
        for text in ["'abc", "`abc\\", "/* abc", "$tag$ abc", "-- abc", "$"] {
            assert!(SqlTokenizer::new(text.as_bytes()).count() <= 1, "{text}");
        }
    }
}
