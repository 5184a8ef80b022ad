//! Cuts SQL text into the few kinds of tokens that matter for telling statements apart.

/// One token with its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SqlToken<'a> {
    pub(super) kind: TokenKind<'a>,
    /// Where it starts.
    pub(super) start: usize,
    /// Just after its end.
    pub(super) end: usize,
}

/// What a token is.
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
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Compares with a sign.
    pub(super) fn is_sign(&self, sign: u8) -> bool {
        self.kind == TokenKind::Punctuation(sign)
    }
}

/// Walks over the tokens of a text, leaving out blanks and comments.
pub(super) struct SqlTokenizer<'a> {
    text: &'a [u8],
    offset: usize,
}

impl<'a> SqlTokenizer<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
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
            _ if is_word(first) => word(rest),
            _ => (TokenKind::Punctuation(first), 1),
        };
        self.offset = (start + length).min(self.text.len());
        Some(SqlToken { kind, start, end: self.offset })
    }
}

fn word(rest: &[u8]) -> (TokenKind<'_>, usize) {
    let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    let name = !rest[0].is_ascii_digit();
    let kind = std::str::from_utf8(&rest[..length]).ok().filter(|_| name).map_or(TokenKind::Other, TokenKind::Word);
    (kind, length)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Length of a quoted piece: a backslash guards the next byte, a doubled quote stands for itself.
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

/// Length of `$tag$ ... $tag$`, or of the bare dollar sign.
fn heredoc_length(rest: &[u8]) -> usize {
    let Some(tag) = rest[1..].iter().position(|byte| *byte == b'$') else { return 1 };
    let (tag, body) = rest.split_at(tag + 2);
    if !tag[1..tag.len() - 1].iter().copied().all(is_word) {
        return 1;
    }
    tag.len() + length_until(body, tag)
}

/// Length up to and including the mark, or of everything.
fn length_until(text: &[u8], mark: &[u8]) -> usize {
    text.windows(mark.len()).position(|window| window == mark).map_or(text.len(), |at| at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let of = |token: SqlToken<'_>| text.get(token.start..token.end);
        SqlTokenizer::of(text.as_bytes())
            .filter(|token| matches!(token.kind, TokenKind::Word(_)))
            .filter_map(of)
            .collect()
    }

    #[test]
    fn words_within_strings_names_and_comments_do_not_count() {
        let text = "SELECT 'it''s \\' FORMAT' AS `a FORMAT b` -- FORMAT\n, \"x\" /* ; */ FROM $q$ ; INSERT $q$ t1";
        assert_eq!(words(text), ["SELECT", "AS", "FROM", "t1"]);
    }

    #[test]
    fn unfinished_pieces_end_with_the_text() {
        for text in ["'abc", "`abc\\", "/* abc", "$tag$ abc", "-- abc", "$"] {
            assert!(SqlTokenizer::of(text.as_bytes()).count() <= 1, "{text}");
        }
    }
}
