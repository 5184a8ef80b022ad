//! Lexer of GraphQL documents (specification, section 2.1). Does not recurse.

use async_graphql::Pos;

use super::{DocumentParseError, string_value};

/// Maximum length of a name in bytes. Names are compared with every name of a type, so long ones are expensive.
const MAX_NAME_BYTES: usize = 256;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DocumentToken<'a> {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Punctuator(char),
    /// `...`
    Spread,
    Name(&'a str),
    /// An integer or a decimal number, as written.
    Number(&'a str),
    /// The value of a string, with escapes decoded.
    String(String),
    End,
}

impl std::fmt::Display for DocumentToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Punctuator(character) => write!(f, "`{character}`"),
            Self::Spread => f.write_str("`...`"),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(_) => f.write_str("a number"),
            Self::String(_) => f.write_str("a string"),
            Self::End => f.write_str("the end of the document"),
        }
    }
}

/// Reads tokens and tracks the position.
pub(super) struct DocumentLexer<'a> {
    rest: &'a str,
    pos: Pos,
}

impl<'a> DocumentLexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, pos: Pos { line: 1, column: 1 } }
    }

    /// Returns the next token and the position where it begins.
    pub(super) fn next_token(&mut self) -> Result<(DocumentToken<'a>, Pos), DocumentParseError> {
        self.skip_ignored();
        let begin = self.pos;
        let Some(first) = self.rest.chars().next() else { return Ok((DocumentToken::End, begin)) };
        let token = match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.take_bytes(1);
                DocumentToken::Punctuator(first)
            }
            '.' if self.rest.starts_with("...") => {
                self.take_bytes(3);
                DocumentToken::Spread
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.take_bytes(prefix_length(self.rest, is_name_byte));
                if name.len() > MAX_NAME_BYTES {
                    return Err(DocumentParseError::NameTooLong { limit: MAX_NAME_BYTES, at: begin });
                }
                DocumentToken::Name(name)
            }
            '-' | '0'..='9' => DocumentToken::Number(self.read_number(begin)?),
            '"' => DocumentToken::String(self.read_string(begin)?),
            other => return Err(DocumentParseError::syntax(format!("unexpected character {other:?}"), begin)),
        };
        Ok((token, begin))
    }

    /// Skips spaces, commas, line ends, byte order marks and comments.
    fn skip_ignored(&mut self) {
        while let Some(first) = self.rest.chars().next() {
            match first {
                ' ' | '\t' | ',' | '\u{feff}' => drop(self.take_bytes(first.len_utf8())),
                '\n' | '\r' => {
                    let length = if self.rest.starts_with("\r\n") { 2 } else { 1 };
                    self.rest = &self.rest[length..];
                    self.pos = Pos { line: self.pos.line + 1, column: 1 };
                }
                '#' => drop(self.take_bytes(self.rest.find(['\n', '\r']).unwrap_or(self.rest.len()))),
                _ => break,
            }
        }
    }

    /// Consumes a number of bytes, which must not contain the end of a line.
    fn take_bytes(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.pos.column += taken.bytes().filter(|byte| byte & 0xC0 != 0x80).count();
        self.rest = rest;
        taken
    }

    fn read_number(&mut self, begin: Pos) -> Result<&'a str, DocumentParseError> {
        let text = self.rest;
        let digits = |at: usize| prefix_length(&text[at..], |byte| byte.is_ascii_digit());
        let mut end = usize::from(text.starts_with('-'));
        let whole = digits(end);
        let mut is_valid = whole > 0 && (whole == 1 || !text[end..].starts_with('0'));
        end += whole;
        if text[end..].starts_with('.') {
            let fraction = digits(end + 1);
            is_valid &= fraction > 0;
            end += 1 + fraction;
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            is_valid &= exponent > 0;
            end += 1 + sign + exponent;
        }
        if !is_valid || text[end..].starts_with(|next: char| next == '.' || next == '_' || next.is_ascii_alphabetic()) {
            return Err(DocumentParseError::syntax("invalid number".to_owned(), begin));
        }
        Ok(self.take_bytes(end))
    }

    fn read_string(&mut self, begin: Pos) -> Result<String, DocumentParseError> {
        if let Some(block) = self.rest.strip_prefix("\"\"\"") {
            return self.read_block_string(block, begin);
        }
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n' | b'\r') | None => {
                    return Err(DocumentParseError::syntax("unterminated string".to_owned(), begin));
                }
                Some(_) => end += 1,
            }
        }
        let content = &self.take_bytes(end + 1)[1..end];
        string_value::decode_quoted_string(content).map_err(|reason| DocumentParseError::syntax(reason, begin))
    }

    fn read_block_string(&mut self, block: &'a str, begin: Pos) -> Result<String, DocumentParseError> {
        let mut from = 0;
        let end = loop {
            let Some(found) = block[from..].find("\"\"\"") else {
                return Err(DocumentParseError::syntax("unterminated block string".to_owned(), begin));
            };
            let end = from + found;
            if !block[..end].ends_with('\\') {
                break end;
            }
            from = end + 3;
        };
        let (content, rest) = (&block[..end], &block[end + 3..]);
        let lines = string_value::split_lines(content);
        let last = lines.last().map_or(0, |line| line.chars().count());
        self.pos = match lines.len() {
            0 | 1 => Pos { column: self.pos.column + last + 6, ..self.pos },
            count => Pos { line: self.pos.line + count - 1, column: last + 4 },
        };
        self.rest = rest;
        Ok(string_value::decode_block_string(content))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Returns the length of the longest prefix whose bytes all satisfy `predicate`.
fn prefix_length(text: &str, predicate: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !predicate(byte)).unwrap_or(text.len())
}
