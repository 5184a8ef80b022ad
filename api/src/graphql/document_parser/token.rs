//! Tokens of a GraphQL document (specification, section 2.1), one after the other, without recursion.

use async_graphql::Pos;

use super::{DocumentError, string_value};

/// Longest name in bytes. Names are compared with every name of a type, so a long one is dear.
const LONGEST_NAME: usize = 256;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Punctuator(char),
    /// `...`
    Spread,
    Name(&'a str),
    /// An integer or a decimal number, as it is written.
    Number(&'a str),
    /// What a string stands for.
    String(String),
    End,
}

impl std::fmt::Display for Token<'_> {
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

/// Reads tokens; remembers where it is.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    pos: Pos,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, pos: Pos { line: 1, column: 1 } }
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Pos), DocumentError> {
        self.skip_ignored();
        let begin = self.pos;
        let Some(first) = self.rest.chars().next() else { return Ok((Token::End, begin)) };
        let token = match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.take(1);
                Token::Punctuator(first)
            }
            '.' if self.rest.starts_with("...") => {
                self.take(3);
                Token::Spread
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.take(prefix(self.rest, is_name));
                if name.len() > LONGEST_NAME {
                    return Err(DocumentError::LongName { limit: LONGEST_NAME, at: begin });
                }
                Token::Name(name)
            }
            '-' | '0'..='9' => Token::Number(self.number(begin)?),
            '"' => Token::String(self.string(begin)?),
            other => return Err(DocumentError::syntax(format!("unexpected character {other:?}"), begin)),
        };
        Ok((token, begin))
    }

    /// Spaces, commas, line ends, byte order marks and comments.
    fn skip_ignored(&mut self) {
        while let Some(first) = self.rest.chars().next() {
            match first {
                ' ' | '\t' | ',' | '\u{feff}' => drop(self.take(first.len_utf8())),
                '\n' | '\r' => {
                    let length = if self.rest.starts_with("\r\n") { 2 } else { 1 };
                    self.rest = &self.rest[length..];
                    self.pos = Pos { line: self.pos.line + 1, column: 1 };
                }
                '#' => drop(self.take(self.rest.find(['\n', '\r']).unwrap_or(self.rest.len()))),
                _ => break,
            }
        }
    }

    /// Takes that many bytes, none of which ends a line.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.pos.column += taken.bytes().filter(|byte| byte & 0xC0 != 0x80).count();
        self.rest = rest;
        taken
    }

    fn number(&mut self, begin: Pos) -> Result<&'a str, DocumentError> {
        let text = self.rest;
        let digits = |at: usize| prefix(&text[at..], |byte| byte.is_ascii_digit());
        let mut end = usize::from(text.starts_with('-'));
        let whole = digits(end);
        let mut is_right = whole > 0 && (whole == 1 || !text[end..].starts_with('0'));
        end += whole;
        if text[end..].starts_with('.') {
            let fraction = digits(end + 1);
            is_right &= fraction > 0;
            end += 1 + fraction;
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            is_right &= exponent > 0;
            end += 1 + sign + exponent;
        }
        if !is_right || text[end..].starts_with(|next: char| next == '.' || next == '_' || next.is_ascii_alphabetic()) {
            return Err(DocumentError::syntax("this is no number".to_owned(), begin));
        }
        Ok(self.take(end))
    }

    fn string(&mut self, begin: Pos) -> Result<String, DocumentError> {
        if let Some(block) = self.rest.strip_prefix("\"\"\"") {
            return self.block_string(block, begin);
        }
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n' | b'\r') | None => {
                    return Err(DocumentError::syntax("this string does not end".to_owned(), begin));
                }
                Some(_) => end += 1,
            }
        }
        let content = &self.take(end + 1)[1..end];
        string_value::of_quoted(content).map_err(|reason| DocumentError::syntax(reason, begin))
    }

    fn block_string(&mut self, block: &'a str, begin: Pos) -> Result<String, DocumentError> {
        let mut from = 0;
        let end = loop {
            let Some(found) = block[from..].find("\"\"\"") else {
                return Err(DocumentError::syntax("this block string does not end".to_owned(), begin));
            };
            let end = from + found;
            if !block[..end].ends_with('\\') {
                break end;
            }
            from = end + 3;
        };
        let (content, rest) = (&block[..end], &block[end + 3..]);
        let lines = string_value::lines(content);
        let last = lines.last().map_or(0, |line| line.chars().count());
        self.pos = match lines.len() {
            0 | 1 => Pos { column: self.pos.column + last + 6, ..self.pos },
            count => Pos { line: self.pos.line + count - 1, column: last + 4 },
        };
        self.rest = rest;
        Ok(string_value::of_block(content))
    }
}

fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// How many bytes at the beginning are such.
fn prefix(text: &str, is_such: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !is_such(byte)).unwrap_or(text.len())
}
