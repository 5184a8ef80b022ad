//! Extracts notices from streamed responses of the API, in every shape in which people save them: a page as one object,
//! several pages one after another, a list of pages, a list of notices, single notices, one notice per line.
//!
//! serde reads a list into memory or calls back; this scanner returns the bytes of one notice after the other, with the
//! line on which each starts, and continues after a notice that is not JSON if its brackets match. Anything else than a
//! page or a notice, such as a throttled response or an error page in HTML, is one rejected row, and reading continues
//! after it.

use std::io::BufRead;

use super::page_tally::{PageMark, PageTally};
use crate::{MAX_ROW_BYTES, NoticeRowError, SourceError, SourceReader, source};

const LIST: &[u8] = b"\"opportunitiesData\"";
const NOTICE_ID: &[u8] = b"\"noticeId\"";
const TOTAL: &[u8] = b"\"totalRecords\"";
const OFFSET: &[u8] = b"\"offset\"";

/// Scans a source for notices.
pub(super) struct ElementScanner {
    input: ByteInput,
    position: ScanPosition,
    /// Number of open lists around pages and notices.
    open_lists: usize,
    /// Whether a page or a notice was found.
    found: bool,
    element: Vec<u8>,
    tally: PageTally,
}

#[derive(Clone, Copy)]
enum ScanPosition {
    /// Outside of pages and notices: one of them, or a list of them, may begin.
    Outside,
    /// In the object that began on `line`.
    InObject { line: u64, list_seen: bool, is_notice: bool },
    /// In the list of notices of the page that began on `line`.
    InList { line: u64 },
}

/// The line of a notice, and its bytes or why it is rejected.
pub(super) type FoundElement<'a> = (u64, Result<&'a [u8], NoticeRowError>);

impl ElementScanner {
    pub(super) fn new(reader: SourceReader) -> Self {
        let input = ByteInput { reader, chunk: Vec::new(), at: 0, line: 1 };
        let tally = PageTally::default();
        Self { input, position: ScanPosition::Outside, open_lists: 0, found: false, element: Vec::new(), tally }
    }

    /// The counts that the pages announced, and the notices that they had.
    pub(super) fn tally(&mut self) -> &mut PageTally {
        &mut self.tally
    }

    /// The next notice, or rejected row; `None` at the end of the source.
    pub(super) fn next_element(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        loop {
            let Some(byte) = self.input.peek_non_whitespace()? else { return self.finish_source() };
            match (self.position, byte) {
                (ScanPosition::Outside, b'{') => {
                    self.position =
                        ScanPosition::InObject { line: self.input.line, list_seen: false, is_notice: false };
                    self.element.clear();
                    let mut capture = BoundedCapture::new(&mut self.element);
                    self.input.take_byte(&mut capture)?;
                }
                (ScanPosition::Outside, b'[') => {
                    self.open_lists += 1;
                    self.input.advance();
                }
                (ScanPosition::Outside, b']' | b',') if self.open_lists > 0 => {
                    self.open_lists -= usize::from(byte == b']');
                    self.input.advance();
                }
                (ScanPosition::InObject { line, list_seen, is_notice }, b'}') => {
                    self.input.take_byte(&mut BoundedCapture::new(&mut self.element))?;
                    self.position = ScanPosition::Outside;
                    if list_seen {
                        self.tally.end_page();
                    } else {
                        return Ok(Some(self.finish_object(line, is_notice)));
                    }
                }
                (ScanPosition::InObject { .. }, b',') => {
                    self.input.take_byte(&mut BoundedCapture::new(&mut self.element)).map(drop)?;
                }
                (ScanPosition::InObject { .. }, b'"') => {
                    if !self.read_key()? {
                        return self.skip_invalid("a page that is not valid JSON");
                    }
                }
                (ScanPosition::InList { line }, b']') => {
                    self.input.advance();
                    self.position = ScanPosition::InObject { line, list_seen: true, is_notice: false };
                }
                (ScanPosition::InList { .. }, b',') => self.input.advance(),
                (ScanPosition::InList { .. }, byte) if !matches!(byte, b'}' | b':') => {
                    return self.read_value().map(Some);
                }
                (ScanPosition::Outside, b'<') => return self.skip_invalid("a web page (HTML)"),
                (ScanPosition::Outside, byte) if self.open_lists > 0 && !matches!(byte, b'}' | b':') => {
                    return self.read_list_item();
                }
                (ScanPosition::Outside, _) => return self.skip_invalid("text that is not JSON"),
                (ScanPosition::InObject { .. } | ScanPosition::InList { .. }, _) => {
                    return self.skip_invalid("the rest of a truncated page");
                }
            }
        }
    }

    fn finish_source(&self) -> Result<Option<FoundElement<'_>>, SourceError> {
        match self.position {
            ScanPosition::Outside if self.open_lists > 0 => Err(self.input.truncation_error()),
            ScanPosition::Outside if self.found => Ok(None),
            ScanPosition::Outside => Err(SourceError::NotThisFormat {
                expected: "pages or notices of the SAM.gov API",
                found: "data without the list opportunitiesData and without a noticeId",
            }),
            ScanPosition::InObject { .. } | ScanPosition::InList { .. } => Err(self.input.truncation_error()),
        }
    }

    /// Finishes an object that is not a page: a notice, or a rejected row.
    fn finish_object(&mut self, line: u64, is_notice: bool) -> FoundElement<'_> {
        self.found |= is_notice;
        let outcome = if !is_notice {
            Err(NoticeRowError::NoPage { found: "a response without the list opportunitiesData" })
        } else if self.element.len() >= MAX_ROW_BYTES {
            Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES })
        } else {
            Ok(self.element.as_slice())
        };
        (line, outcome)
    }

    /// Reads an item of an outer list that is neither an object nor a list.
    fn read_list_item(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        let (line, _) = self.read_value()?;
        Ok(Some((line, Err(NoticeRowError::NoPage { found: "a value that is not an object" }))))
    }

    /// Skips to the next line that an object or a list begins on, and rejects the text before it.
    fn skip_invalid(&mut self, found: &'static str) -> Result<Option<FoundElement<'_>>, SourceError> {
        let line = self.input.line;
        let was_outside = matches!(self.position, ScanPosition::Outside);
        (self.position, self.open_lists) = (ScanPosition::Outside, 0);
        self.tally.abandon_page();
        if !self.input.skip_to_next_json()? && !was_outside {
            return Err(SourceError::BreaksOff { line });
        }
        Ok(Some((line, Err(NoticeRowError::NoPage { found }))))
    }

    /// Reads a key of an object and, unless it is the key of the list of notices, its value; `false` if it is not JSON.
    fn read_key(&mut self) -> Result<bool, SourceError> {
        let ScanPosition::InObject { line, list_seen, is_notice } = self.position else { return Ok(false) };
        let start = self.element.len();
        self.input.take_string(&mut BoundedCapture::new(&mut self.element))?;
        let key = self.element.get(start..).unwrap_or_default();
        let mark = match key {
            TOTAL => Some(PageMark::Total),
            OFFSET => Some(PageMark::Offset),
            _ => None,
        };
        let (is_list, is_notice) = (key == LIST, is_notice || key == NOTICE_ID);
        if self.input.peek_non_whitespace()? != Some(b':') {
            return Ok(false);
        }
        self.input.take_byte(&mut BoundedCapture::new(&mut self.element))?;
        if is_list && self.input.peek_non_whitespace()? == Some(b'[') {
            self.input.advance();
            self.found = true;
            self.tally.begin_page(line);
            self.position = ScanPosition::InList { line };
            return Ok(true);
        }
        if is_list && self.input.peek_non_whitespace()? == Some(b'n') {
            // The API writes `null` for an empty list.
            self.found = true;
            self.tally.begin_page(line);
        }
        let start = self.element.len();
        self.input.take_value(&mut BoundedCapture::new(&mut self.element))?;
        if let Some(mark) = mark {
            self.tally.record_mark(mark, self.element.get(start..).unwrap_or_default());
        }
        self.position = ScanPosition::InObject { line, list_seen: list_seen || is_list, is_notice };
        if list_seen {
            // Nothing after the list of a page is used.
            self.element.clear();
        }
        Ok(true)
    }

    /// Reads one value of any kind.
    fn read_value(&mut self) -> Result<FoundElement<'_>, SourceError> {
        self.element.clear();
        let line = self.input.line;
        let mut capture = BoundedCapture::new(&mut self.element);
        self.input.take_value(&mut capture)?;
        let outcome =
            if capture.overflowed { Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES }) } else { Ok(()) };
        Ok((line, outcome.map(|()| self.element.as_slice())))
    }
}

/// Collects the bytes of a value up to [`MAX_ROW_BYTES`].
struct BoundedCapture<'a> {
    bytes: &'a mut Vec<u8>,
    overflowed: bool,
}

impl<'a> BoundedCapture<'a> {
    fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, overflowed: false }
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < MAX_ROW_BYTES {
            self.bytes.push(byte);
        } else {
            self.overflowed = true;
        }
    }
}

/// Reads bytes and counts lines.
struct ByteInput {
    reader: SourceReader,
    chunk: Vec<u8>,
    at: usize,
    line: u64,
}

impl ByteInput {
    fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        if self.at == self.chunk.len() {
            self.chunk.clear();
            self.at = 0;
            self.chunk.extend_from_slice(self.reader.fill_buf().map_err(source::read_error)?);
            self.reader.consume(self.chunk.len());
        }
        Ok(self.chunk.get(self.at).copied())
    }

    fn advance(&mut self) {
        if self.chunk.get(self.at) == Some(&b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    /// The next byte that is not white space.
    fn peek_non_whitespace(&mut self) -> Result<Option<u8>, SourceError> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.advance();
        }
        Ok(None)
    }

    /// Skips to the next line that begins with an object or a list; `false` at the end of the source.
    fn skip_to_next_json(&mut self) -> Result<bool, SourceError> {
        loop {
            while let Some(byte) = self.peek()? {
                self.advance();
                if byte == b'\n' {
                    break;
                }
            }
            match self.peek_non_whitespace()? {
                Some(b'{' | b'[') => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }

    fn truncation_error(&self) -> SourceError {
        SourceError::BreaksOff { line: self.line }
    }

    fn take_byte(&mut self, capture: &mut BoundedCapture<'_>) -> Result<u8, SourceError> {
        let byte = self.peek()?.ok_or_else(|| self.truncation_error())?;
        self.advance();
        capture.push(byte);
        Ok(byte)
    }

    /// Reads a string from its opening to its closing quote.
    fn take_string(&mut self, capture: &mut BoundedCapture<'_>) -> Result<(), SourceError> {
        self.take_byte(capture)?;
        loop {
            match self.take_byte(capture)? {
                b'"' => return Ok(()),
                b'\\' => {
                    self.take_byte(capture)?;
                }
                _ => {}
            }
        }
    }

    /// Reads a value: what is between matching brackets, or up to the next comma or closing bracket.
    fn take_value(&mut self, capture: &mut BoundedCapture<'_>) -> Result<(), SourceError> {
        let mut depth = 0_usize;
        loop {
            match self.peek()?.ok_or_else(|| self.truncation_error())? {
                b',' | b'}' | b']' if depth == 0 => return Ok(()),
                b'"' => self.take_string(capture)?,
                b'{' | b'[' => {
                    self.take_byte(capture)?;
                    depth += 1;
                }
                b'}' | b']' => {
                    self.take_byte(capture)?;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {
                    self.take_byte(capture)?;
                }
            }
        }
    }
}
