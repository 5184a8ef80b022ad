//! Cuts the elements of `opportunitiesData` out of API pages while they stream by.
//!
//! serde reads a list into memory or calls back; this hands out one element's bytes after the other, with the line each
//! one starts on, and survives an element that is not JSON as long as its brackets match.

use std::io::BufRead;

use crate::sam::{MAX_ROW, Reader, RowError, SourceError, source};

const LIST: &[u8] = b"opportunitiesData";

/// The elements of the pages of a source.
pub(super) struct Elements {
    input: Input,
    place: Place,
    pages: u64,
    element: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Place {
    BetweenPages,
    InPage { list_seen: bool },
    InList,
}

impl Elements {
    pub(super) fn new(reader: Reader) -> Self {
        let input = Input { reader, chunk: Vec::new(), at: 0, line: 1 };
        Self { input, place: Place::BetweenPages, pages: 0, element: Vec::new() }
    }

    /// The next element and its line, or why it cannot be had.
    #[expect(clippy::type_complexity, reason = "two results, because either the element or the whole source may fail")]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Result<&[u8], RowError>)>, SourceError> {
        loop {
            let byte = self.input.peek_solid()?;
            self.place = match (self.place, byte) {
                (Place::BetweenPages, None) if self.pages > 0 => return Ok(None),
                (Place::BetweenPages, Some(b'{')) => {
                    self.input.bump();
                    self.pages += 1;
                    Place::InPage { list_seen: false }
                }
                (Place::InPage { list_seen: true }, Some(b'}')) => {
                    self.input.bump();
                    Place::BetweenPages
                }
                (Place::InPage { list_seen }, Some(b'"')) => self.key(list_seen)?,
                (Place::InList, Some(b']')) => {
                    self.input.bump();
                    Place::InPage { list_seen: true }
                }
                (Place::InPage { .. } | Place::InList, Some(b',')) => {
                    self.input.bump();
                    self.place
                }
                (Place::InList, Some(byte)) if !matches!(byte, b'}' | b':') => return self.value().map(Some),
                (Place::InPage { list_seen: false }, Some(b'}')) => return Err(self.not_a_page()),
                (Place::BetweenPages, _) if self.pages == 0 => return Err(self.not_a_page()),
                (Place::BetweenPages | Place::InPage { .. } | Place::InList, _) => return Err(self.input.breaks_off()),
            };
        }
    }

    fn not_a_page(&self) -> SourceError {
        let found = if self.pages == 0 { "something else" } else { "JSON without the list opportunitiesData" };
        SourceError::NotThisFormat { expected: "a page of the SAM.gov API", found }
    }

    /// Reads a key and, unless it is the list's, its value.
    fn key(&mut self, list_seen: bool) -> Result<Place, SourceError> {
        self.element.clear();
        self.input.string(&mut Capture::new(&mut self.element))?;
        let is_list = self.element.trim_ascii() == [b"\"".as_slice(), LIST, b"\""].concat();
        if self.input.peek_solid()? != Some(b':') {
            return Err(self.input.breaks_off());
        }
        self.input.bump();
        if is_list && self.input.peek_solid()? == Some(b'[') {
            self.input.bump();
            return Ok(Place::InList);
        }
        self.element.clear();
        self.input.value(&mut Capture::new(&mut self.element))?;
        Ok(Place::InPage { list_seen })
    }

    /// Reads one value of any kind.
    fn value(&mut self) -> Result<(u64, Result<&[u8], RowError>), SourceError> {
        self.element.clear();
        let line = self.input.line;
        let mut capture = Capture::new(&mut self.element);
        self.input.value(&mut capture)?;
        let whole = if capture.overflowed { Err(RowError::RowTooLarge { limit: MAX_ROW }) } else { Ok(()) };
        Ok((line, whole.map(|()| self.element.as_slice())))
    }
}

/// Keeps the bytes of a value up to the limit.
struct Capture<'a> {
    bytes: &'a mut Vec<u8>,
    overflowed: bool,
}

impl<'a> Capture<'a> {
    fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, overflowed: false }
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < MAX_ROW {
            self.bytes.push(byte);
        } else {
            self.overflowed = true;
        }
    }
}

/// Bytes with a line number.
struct Input {
    reader: Reader,
    chunk: Vec<u8>,
    at: usize,
    line: u64,
}

impl Input {
    fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        if self.at == self.chunk.len() {
            self.chunk.clear();
            self.at = 0;
            self.chunk.extend_from_slice(self.reader.fill_buf().map_err(source::failed)?);
            self.reader.consume(self.chunk.len());
        }
        Ok(self.chunk.get(self.at).copied())
    }

    fn bump(&mut self) {
        if self.chunk.get(self.at) == Some(&b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    /// The next byte that is not white space.
    fn peek_solid(&mut self) -> Result<Option<u8>, SourceError> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.bump();
        }
        Ok(None)
    }

    fn breaks_off(&self) -> SourceError {
        SourceError::BreaksOff { line: self.line }
    }

    fn take(&mut self, capture: &mut Capture<'_>) -> Result<u8, SourceError> {
        let byte = self.peek()?.ok_or_else(|| self.breaks_off())?;
        self.bump();
        capture.push(byte);
        Ok(byte)
    }

    /// Reads a string from its opening to its closing quote.
    fn string(&mut self, capture: &mut Capture<'_>) -> Result<(), SourceError> {
        self.take(capture)?;
        loop {
            match self.take(capture)? {
                b'"' => return Ok(()),
                b'\\' => {
                    self.take(capture)?;
                }
                _ => {}
            }
        }
    }

    /// Reads a value: what is between matching brackets, or up to the next comma or closing bracket.
    fn value(&mut self, capture: &mut Capture<'_>) -> Result<(), SourceError> {
        let mut depth = 0_usize;
        loop {
            match self.peek()?.ok_or_else(|| self.breaks_off())? {
                b',' | b'}' | b']' if depth == 0 => return Ok(()),
                b'"' => self.string(capture)?,
                b'{' | b'[' => {
                    self.take(capture)?;
                    depth += 1;
                }
                b'}' | b']' => {
                    self.take(capture)?;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {
                    self.take(capture)?;
                }
            }
        }
    }
}
