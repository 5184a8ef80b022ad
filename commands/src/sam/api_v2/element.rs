//! Cuts notices out of the API's answers while they stream by, in every shape in which people save them: a page as one
//! object, several one after another, a list of pages, a list of notices, single notices, one a line.
//!
//! serde reads a list into memory or calls back; this hands out one notice's bytes after the other, with the line each one
//! starts on, and survives a notice that is not JSON as long as its brackets match. What is neither a page nor a notice, such
//! as a throttled answer or an error page in HTML, is one rejected row, and reading goes on with what follows.

use std::io::BufRead;

use super::page_tally::{PageMark, PageTally};
use crate::sam::{MAX_ROW, Reader, RowError, SourceError, source};

const LIST: &[u8] = b"\"opportunitiesData\"";
const NOTICE_ID: &[u8] = b"\"noticeId\"";
const TOTAL: &[u8] = b"\"totalRecords\"";
const OFFSET: &[u8] = b"\"offset\"";

/// The notices of a source.
pub(super) struct Elements {
    input: Input,
    place: Place,
    /// Lists that are open around pages and notices.
    lists: usize,
    /// Whether a page or a notice was found.
    found: bool,
    element: Vec<u8>,
    tally: PageTally,
}

#[derive(Clone, Copy)]
enum Place {
    /// Where a page, a notice or a list of them may begin.
    Outside,
    /// In the object that began on that line.
    InObject { line: u64, list_seen: bool, is_notice: bool },
    /// In the list of a page.
    InList { line: u64 },
}

/// What was found: a notice with its line, or why there is none.
pub(super) type FoundElement<'a> = (u64, Result<&'a [u8], RowError>);

impl Elements {
    pub(super) fn new(reader: Reader) -> Self {
        let input = Input { reader, chunk: Vec::new(), at: 0, line: 1 };
        let tally = PageTally::default();
        Self { input, place: Place::Outside, lists: 0, found: false, element: Vec::new(), tally }
    }

    /// What the pages promised, and what they held.
    pub(super) fn tally(&mut self) -> &mut PageTally {
        &mut self.tally
    }

    /// The next notice and its line, or why it cannot be had.
    pub(super) fn next(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        loop {
            let Some(byte) = self.input.peek_solid()? else { return self.end() };
            match (self.place, byte) {
                (Place::Outside, b'{') => {
                    self.place = Place::InObject { line: self.input.line, list_seen: false, is_notice: false };
                    self.element.clear();
                    let mut capture = Capture::new(&mut self.element);
                    self.input.take(&mut capture)?;
                }
                (Place::Outside, b'[') => {
                    self.lists += 1;
                    self.input.bump();
                }
                (Place::Outside, b']' | b',') if self.lists > 0 => {
                    self.lists -= usize::from(byte == b']');
                    self.input.bump();
                }
                (Place::InObject { line, list_seen, is_notice }, b'}') => {
                    self.input.take(&mut Capture::new(&mut self.element))?;
                    self.place = Place::Outside;
                    if list_seen {
                        self.tally.end_page();
                    } else {
                        return Ok(Some(self.whole_object(line, is_notice)));
                    }
                }
                (Place::InObject { .. }, b',') => self.input.take(&mut Capture::new(&mut self.element)).map(drop)?,
                (Place::InObject { .. }, b'"') => {
                    if !self.key()? {
                        return self.go_on("a page that is no JSON");
                    }
                }
                (Place::InList { line }, b']') => {
                    self.input.bump();
                    self.place = Place::InObject { line, list_seen: true, is_notice: false };
                }
                (Place::InList { .. }, b',') => self.input.bump(),
                (Place::InList { .. }, byte) if !matches!(byte, b'}' | b':') => return self.value().map(Some),
                (Place::Outside, b'<') => return self.go_on("a web page (HTML)"),
                (Place::Outside, byte) if self.lists > 0 && !matches!(byte, b'}' | b':') => return self.list_item(),
                (Place::Outside, _) => return self.go_on("text that is no JSON"),
                (Place::InObject { .. } | Place::InList { .. }, _) => {
                    return self.go_on("the rest of a page that is cut off");
                }
            }
        }
    }

    fn end(&self) -> Result<Option<FoundElement<'_>>, SourceError> {
        match self.place {
            Place::Outside if self.lists > 0 => Err(self.input.breaks_off()),
            Place::Outside if self.found => Ok(None),
            Place::Outside => Err(SourceError::NotThisFormat {
                expected: "pages or notices of the SAM.gov API",
                found: "something else, without the list opportunitiesData and without a noticeId",
            }),
            Place::InObject { .. } | Place::InList { .. } => Err(self.input.breaks_off()),
        }
    }

    /// An object that is no page: a notice, or something else.
    fn whole_object(&mut self, line: u64, is_notice: bool) -> FoundElement<'_> {
        self.found |= is_notice;
        let outcome = if !is_notice {
            Err(RowError::NoPage { found: "an answer without the list opportunitiesData" })
        } else if self.element.len() >= MAX_ROW {
            Err(RowError::RowTooLarge { limit: MAX_ROW })
        } else {
            Ok(self.element.as_slice())
        };
        (line, outcome)
    }

    /// Something in an outer list that is neither an object nor a list.
    fn list_item(&mut self) -> Result<Option<FoundElement<'_>>, SourceError> {
        let (line, _) = self.value()?;
        Ok(Some((line, Err(RowError::NoPage { found: "a value that is no object" }))))
    }

    /// Leaves out what stands here, up to the next line on which an object or a list begins.
    fn go_on(&mut self, found: &'static str) -> Result<Option<FoundElement<'_>>, SourceError> {
        let line = self.input.line;
        let was_outside = matches!(self.place, Place::Outside);
        (self.place, self.lists) = (Place::Outside, 0);
        self.tally.break_off();
        if !self.input.skip_to_next_json()? && !was_outside {
            return Err(SourceError::BreaksOff { line });
        }
        Ok(Some((line, Err(RowError::NoPage { found }))))
    }

    /// Reads a key of an object and, unless it is that of a list of notices, its value; false where that is no JSON.
    fn key(&mut self) -> Result<bool, SourceError> {
        let Place::InObject { line, list_seen, is_notice } = self.place else { return Ok(false) };
        let start = self.element.len();
        self.input.string(&mut Capture::new(&mut self.element))?;
        let key = self.element.get(start..).unwrap_or_default();
        let mark = match key {
            TOTAL => Some(PageMark::Total),
            OFFSET => Some(PageMark::Offset),
            _ => None,
        };
        let (is_list, is_notice) = (key == LIST, is_notice || key == NOTICE_ID);
        if self.input.peek_solid()? != Some(b':') {
            return Ok(false);
        }
        self.input.take(&mut Capture::new(&mut self.element))?;
        if is_list && self.input.peek_solid()? == Some(b'[') {
            self.input.bump();
            self.found = true;
            self.tally.begin_page(line);
            self.place = Place::InList { line };
            return Ok(true);
        }
        if is_list && self.input.peek_solid()? == Some(b'n') {
            // `null` where there are none.
            self.found = true;
            self.tally.begin_page(line);
        }
        let start = self.element.len();
        self.input.value(&mut Capture::new(&mut self.element))?;
        if let Some(mark) = mark {
            self.tally.mark(mark, self.element.get(start..).unwrap_or_default());
        }
        self.place = Place::InObject { line, list_seen: list_seen || is_list, is_notice };
        if list_seen {
            // Behind its list a page says nothing that is kept.
            self.element.clear();
        }
        Ok(true)
    }

    /// Reads one value of any kind.
    fn value(&mut self) -> Result<FoundElement<'_>, SourceError> {
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

    /// Skips the rest of this line, and the lines up to one on which an object or a list begins; false at the end.
    fn skip_to_next_json(&mut self) -> Result<bool, SourceError> {
        loop {
            while let Some(byte) = self.peek()? {
                self.bump();
                if byte == b'\n' {
                    break;
                }
            }
            match self.peek_solid()? {
                Some(b'{' | b'[') => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
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
