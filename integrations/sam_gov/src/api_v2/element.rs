//! Cuts notices out of the API's answers while they stream by, in every shape in which people save them: a page as one
//! object, several one after another, a list of pages, a list of notices, single notices, one a line.
//!
//! serde reads a list into memory or calls back; this hands out one notice's bytes after the other, with the line each one
//! starts on, and survives a notice that is not JSON as long as its brackets match. What is neither a page nor a notice, such
//! as a throttled answer or an error page in HTML, is one rejected row, and reading goes on with what follows.

use std::io::BufRead;

use super::page_tally::{PageMark, PageTally};
use crate::{MAX_ROW_BYTES, NoticeRowError, SourceError, SourceReader, source};

const LIST: &[u8] = b"\"opportunitiesData\"";
const NOTICE_ID: &[u8] = b"\"noticeId\"";
const TOTAL: &[u8] = b"\"totalRecords\"";
const OFFSET: &[u8] = b"\"offset\"";

/// The notices of a source.
pub(super) struct ElementScanner {
    input: ByteInput,
    place: ScanPosition,
    /// Lists that are open around pages and notices.
    lists: usize,
    /// Whether a page or a notice was found.
    found: bool,
    element: Vec<u8>,
    tally: PageTally,
}

#[derive(Clone, Copy)]
enum ScanPosition {
    /// Where a page, a notice or a list of them may begin.
    Outside,
    /// In the object that began on that line.
    InObject { line: u64, list_seen: bool, is_notice: bool },
    /// In the list of a page.
    InList { line: u64 },
}

/// What was found: a notice with its line, or why there is none.
pub(super) type FoundElement<'a> = (u64, Result<&'a [u8], NoticeRowError>);

impl ElementScanner {
    pub(super) fn new(reader: SourceReader) -> Self {
        let input = ByteInput { reader, chunk: Vec::new(), at: 0, line: 1 };
        let tally = PageTally::default();
        Self { input, place: ScanPosition::Outside, lists: 0, found: false, element: Vec::new(), tally }
    }

    /// What the pages promised, and what they held.
    pub(super) fn tally(&mut self) -> &mut PageTally {
        &mut self.tally
    }

    /// The next notice and its line, or why it cannot be had.
    pub(super) fn next_element(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        loop {
            let Some(byte) = self.input.peek_non_whitespace()? else { return self.finish_source() };
            match (self.place, byte) {
                (ScanPosition::Outside, b'{') => {
                    self.place = ScanPosition::InObject { line: self.input.line, list_seen: false, is_notice: false };
                    self.element.clear();
                    let mut capture = BoundedCapture::new(&mut self.element);
                    self.input.take_byte(&mut capture)?;
                }
                (ScanPosition::Outside, b'[') => {
                    self.lists += 1;
                    self.input.advance();
                }
                (ScanPosition::Outside, b']' | b',') if self.lists > 0 => {
                    self.lists -= usize::from(byte == b']');
                    self.input.advance();
                }
                (ScanPosition::InObject { line, list_seen, is_notice }, b'}') => {
                    self.input.take_byte(&mut BoundedCapture::new(&mut self.element))?;
                    self.place = ScanPosition::Outside;
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
                        return self.skip_invalid("a page that is no JSON");
                    }
                }
                (ScanPosition::InList { line }, b']') => {
                    self.input.advance();
                    self.place = ScanPosition::InObject { line, list_seen: true, is_notice: false };
                }
                (ScanPosition::InList { .. }, b',') => self.input.advance(),
                (ScanPosition::InList { .. }, byte) if !matches!(byte, b'}' | b':') => {
                    return self.read_value().map(Some);
                }
                (ScanPosition::Outside, b'<') => return self.skip_invalid("a web page (HTML)"),
                (ScanPosition::Outside, byte) if self.lists > 0 && !matches!(byte, b'}' | b':') => {
                    return self.read_list_item();
                }
                (ScanPosition::Outside, _) => return self.skip_invalid("text that is no JSON"),
                (ScanPosition::InObject { .. } | ScanPosition::InList { .. }, _) => {
                    return self.skip_invalid("the rest of a page that is cut off");
                }
            }
        }
    }

    fn finish_source(&self) -> Result<Option<FoundElement<'_>>, SourceError> {
        match self.place {
            ScanPosition::Outside if self.lists > 0 => Err(self.input.truncation_error()),
            ScanPosition::Outside if self.found => Ok(None),
            ScanPosition::Outside => Err(SourceError::NotThisFormat {
                expected: "pages or notices of the SAM.gov API",
                found: "something else, without the list opportunitiesData and without a noticeId",
            }),
            ScanPosition::InObject { .. } | ScanPosition::InList { .. } => Err(self.input.truncation_error()),
        }
    }

    /// An object that is no page: a notice, or something else.
    fn finish_object(&mut self, line: u64, is_notice: bool) -> FoundElement<'_> {
        self.found |= is_notice;
        let outcome = if !is_notice {
            Err(NoticeRowError::NoPage { found: "an answer without the list opportunitiesData" })
        } else if self.element.len() >= MAX_ROW_BYTES {
            Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES })
        } else {
            Ok(self.element.as_slice())
        };
        (line, outcome)
    }

    /// Something in an outer list that is neither an object nor a list.
    fn read_list_item(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        let (line, _) = self.read_value()?;
        Ok(Some((line, Err(NoticeRowError::NoPage { found: "a value that is no object" }))))
    }

    /// Leaves out what stands here, up to the next line on which an object or a list begins.
    fn skip_invalid(&mut self, found: &'static str) -> Result<Option<FoundElement<'_>>, SourceError> {
        let line = self.input.line;
        let was_outside = matches!(self.place, ScanPosition::Outside);
        (self.place, self.lists) = (ScanPosition::Outside, 0);
        self.tally.abandon_page();
        if !self.input.skip_to_next_json()? && !was_outside {
            return Err(SourceError::BreaksOff { line });
        }
        Ok(Some((line, Err(NoticeRowError::NoPage { found }))))
    }

    /// Reads a key of an object and, unless it is that of a list of notices, its value; false where that is no JSON.
    fn read_key(&mut self) -> Result<bool, SourceError> {
        let ScanPosition::InObject { line, list_seen, is_notice } = self.place else { return Ok(false) };
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
            self.place = ScanPosition::InList { line };
            return Ok(true);
        }
        if is_list && self.input.peek_non_whitespace()? == Some(b'n') {
            // `null` where there are none.
            self.found = true;
            self.tally.begin_page(line);
        }
        let start = self.element.len();
        self.input.take_value(&mut BoundedCapture::new(&mut self.element))?;
        if let Some(mark) = mark {
            self.tally.record_mark(mark, self.element.get(start..).unwrap_or_default());
        }
        self.place = ScanPosition::InObject { line, list_seen: list_seen || is_list, is_notice };
        if list_seen {
            // Behind its list a page says nothing that is kept.
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
        let whole = if capture.overflowed { Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES }) } else { Ok(()) };
        Ok((line, whole.map(|()| self.element.as_slice())))
    }
}

/// Keeps the bytes of a value up to the limit.
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

/// Bytes with a line number.
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

    /// Skips the rest of this line, and the lines up to one on which an object or a list begins; false at the end.
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
