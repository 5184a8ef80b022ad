//! Splits CSV into records, in bounded memory and without losing what stands behind a broken one.
//!
//! The `csv` crate takes an unclosed quote for the beginning of a field that ends nowhere: everything behind it is gone
//! and in memory. Here a record has a largest size, text behind a closing quote is an error, and after a record whose
//! quotes do not match reading goes on with the next physical line.

use std::io::BufRead;

use crate::{MAX_FIELD_BYTES, MAX_ROW_BYTES, SourceError, SourceReader, source};

/// How many bytes may be read a second time. Bounds the work that a file full of stray quotes can cause.
const MAX_REREAD: usize = 64 << 20;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordStep {
    /// A record; its fields are in [`CsvRecordReader::fields`].
    Record { line: u64 },
    /// A record that cannot be read.
    Broken { line: u64, why: BrokenRecord },
    /// Nothing.
    End,
}

/// Why a record cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BrokenRecord {
    Quoting,
    /// As `Quoting`, and the lines up to this one are lost with it.
    Unreadable {
        through: u64,
    },
    RowTooLarge,
    FieldTooLarge {
        at: usize,
    },
    /// A record of several lines that has another number of fields than the header.
    FieldCount {
        found: usize,
    },
}

/// Reads records from bytes.
pub(super) struct CsvRecordReader {
    window: ReadWindow,
    /// The fields of the current record, unquoted, one behind the other.
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    /// Fields of the first record.
    width: Option<usize>,
    reread: usize,
    delimiter: u8,
}

#[derive(Clone, Copy)]
enum ParserState {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote that closes the field, unless another one follows.
    QuoteSeen,
    /// Behind a carriage return behind a closing quote.
    ReturnSeen,
}

/// How reading one record went; `length` is in bytes, from the current record's start.
enum ScanOutcome {
    Complete { length: usize },
    Mismatch { length: usize },
    TooLarge,
}

impl CsvRecordReader {
    pub(super) fn new(reader: SourceReader, delimiter: u8) -> Self {
        let window = ReadWindow { reader, bytes: Vec::new(), start: 0, line: 1 };
        Self { window, bytes: Vec::new(), ends: Vec::new(), width: None, reread: 0, delimiter }
    }

    /// What was read so far is no header: the next record is.
    pub(super) fn reset_width(&mut self) {
        self.width = None;
    }

    /// Reads the next record, skipping blank lines.
    pub(super) fn next_record(&mut self) -> Result<RecordStep, SourceError> {
        loop {
            let line = self.window.line;
            match self.scan_record(0)? {
                ScanOutcome::Complete { length: 0 } => return Ok(RecordStep::End),
                ScanOutcome::Complete { length } if self.bytes.is_empty() && self.ends.len() == 1 => {
                    self.window.advance(length);
                }
                ScanOutcome::Complete { length } => return self.finish_record(line, length),
                ScanOutcome::Mismatch { length } => {
                    return self.skip_broken_record(line, length, BrokenRecord::Quoting);
                }
                ScanOutcome::TooLarge => {
                    return self.skip_broken_record(line, MAX_ROW_BYTES, BrokenRecord::RowTooLarge);
                }
            }
        }
    }

    /// The fields of the current record, as bytes.
    pub(super) fn fields(&self) -> Vec<&[u8]> {
        let mut start = 0;
        let field = |end: &usize| {
            let field = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            field
        };
        self.ends.iter().map(field).collect()
    }

    fn finish_record(&mut self, line: u64, length: usize) -> Result<RecordStep, SourceError> {
        let found = self.ends.len();
        let width = *self.width.get_or_insert(found);
        if found != width && self.window.has_inner_line_end(length) {
            let why = BrokenRecord::FieldCount { found };
            if self.holds_record(length, width)? {
                return self.skip_broken_record(line, length, why);
            }
            self.window.advance(length);
            return Ok(RecordStep::Broken { line, why });
        }
        self.window.advance(length);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let too_large = starts.zip(&self.ends).position(|(start, end)| end - start > MAX_FIELD_BYTES);
        Ok(match too_large {
            Some(at) => RecordStep::Broken { line, why: BrokenRecord::FieldTooLarge { at } },
            None => RecordStep::Record { line },
        })
    }

    /// Whether a whole record starts on a later line of a broken one: a stray quote has swallowed it.
    fn holds_record(&mut self, length: usize, width: usize) -> Result<bool, SourceError> {
        let mut from = 0;
        while let Some(next) = self.window.line_length(from).filter(|next| *next < length) {
            from = next;
            let scan = self.scan_record(from)?;
            let end = match scan {
                ScanOutcome::Complete { length } | ScanOutcome::Mismatch { length } => length,
                ScanOutcome::TooLarge => from + MAX_ROW_BYTES,
            };
            self.reread = self.reread.saturating_add(end - from);
            let whole = matches!(scan, ScanOutcome::Complete { .. }) && self.ends.len() == width;
            if whole || self.reread > MAX_REREAD {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes on with the line behind the one on which the broken record started.
    fn skip_broken_record(&mut self, line: u64, length: usize, why: BrokenRecord) -> Result<RecordStep, SourceError> {
        let first_line = self.window.line_length(0).unwrap_or(length);
        self.reread = self.reread.saturating_add(length.saturating_sub(first_line));
        if self.reread <= MAX_REREAD {
            self.window.skip_line(0)?;
            return Ok(RecordStep::Broken { line, why });
        }
        self.window.skip_line(length.saturating_sub(1))?;
        let through = self.window.line - 1;
        let why = if through > line { BrokenRecord::Unreadable { through } } else { why };
        Ok(RecordStep::Broken { line, why })
    }

    /// Reads one record that starts that far behind the current record's start.
    fn scan_record(&mut self, from: usize) -> Result<ScanOutcome, SourceError> {
        self.bytes.clear();
        self.ends.clear();
        let mut at = from;
        let mut state = ParserState::FieldStart;
        loop {
            if at - from > MAX_ROW_BYTES {
                return Ok(ScanOutcome::TooLarge);
            }
            if at == self.window.rest().len() && !self.window.fill()? {
                return Ok(self.finish_source(state, at));
            }
            let before = at;
            state = match self.advance_state(state, &mut at) {
                Ok(Some(state)) => state,
                Ok(None) => return Ok(ScanOutcome::Complete { length: at }),
                Err(QuoteMismatch) => return Ok(ScanOutcome::Mismatch { length: before + 1 }),
            };
        }
    }

    /// Takes the next piece of the window; `None` at the end of the record.
    fn advance_state(&mut self, state: ParserState, at: &mut usize) -> Result<Option<ParserState>, QuoteMismatch> {
        let rest = &self.window.rest()[*at..];
        match state {
            ParserState::FieldStart if rest[0] == b'"' => {
                *at += 1;
                Ok(Some(ParserState::Quoted))
            }
            ParserState::FieldStart | ParserState::Plain => {
                let delimiter = self.delimiter;
                let end = rest.iter().position(|byte| *byte == delimiter || *byte == b'\n');
                self.bytes.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                let delimiter = end.map(|end| rest[end]);
                *at += end.map_or(rest.len(), |end| end + 1);
                Ok(self.finish_plain_field(delimiter))
            }
            ParserState::Quoted => {
                let end = rest.iter().position(|byte| *byte == b'"');
                self.bytes.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                *at += end.map_or(rest.len(), |end| end + 1);
                Ok(Some(end.map_or(ParserState::Quoted, |_| ParserState::QuoteSeen)))
            }
            ParserState::QuoteSeen | ParserState::ReturnSeen => {
                let byte = rest[0];
                *at += 1;
                self.state_after_quote(state, byte)
            }
        }
    }

    fn finish_plain_field(&mut self, delimiter: Option<u8>) -> Option<ParserState> {
        match delimiter {
            None => Some(ParserState::Plain),
            Some(b'\n') => {
                let start = self.ends.last().copied().unwrap_or_default();
                if self.bytes.len() > start && self.bytes.ends_with(b"\r") {
                    self.bytes.pop();
                }
                self.ends.push(self.bytes.len());
                None
            }
            Some(_) => {
                self.ends.push(self.bytes.len());
                Some(ParserState::FieldStart)
            }
        }
    }

    fn state_after_quote(&mut self, state: ParserState, byte: u8) -> Result<Option<ParserState>, QuoteMismatch> {
        match (state, byte) {
            (ParserState::QuoteSeen, b'"') => {
                self.bytes.push(b'"');
                Ok(Some(ParserState::Quoted))
            }
            (ParserState::QuoteSeen, byte) if byte == self.delimiter => {
                self.ends.push(self.bytes.len());
                Ok(Some(ParserState::FieldStart))
            }
            (ParserState::QuoteSeen, b'\r') => Ok(Some(ParserState::ReturnSeen)),
            (ParserState::QuoteSeen | ParserState::ReturnSeen, b'\n') => {
                self.ends.push(self.bytes.len());
                Ok(None)
            }
            (
                ParserState::FieldStart
                | ParserState::Plain
                | ParserState::Quoted
                | ParserState::QuoteSeen
                | ParserState::ReturnSeen,
                _,
            ) => Err(QuoteMismatch),
        }
    }

    fn finish_source(&mut self, state: ParserState, length: usize) -> ScanOutcome {
        match state {
            ParserState::Quoted => ScanOutcome::Mismatch { length },
            ParserState::FieldStart if length == 0 => ScanOutcome::Complete { length },
            ParserState::FieldStart | ParserState::Plain | ParserState::QuoteSeen | ParserState::ReturnSeen => {
                self.ends.push(self.bytes.len());
                ScanOutcome::Complete { length }
            }
        }
    }
}

/// Text behind a closing quote.
struct QuoteMismatch;

/// The bytes from the current record on, as far as they were needed so far.
struct ReadWindow {
    reader: SourceReader,
    bytes: Vec<u8>,
    /// Where the current record starts in `bytes`.
    start: usize,
    /// The physical line on which it starts.
    line: u64,
}

impl ReadWindow {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads more; false at the end of the source.
    fn fill(&mut self) -> Result<bool, SourceError> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let more = self.reader.fill_buf().map_err(source::read_error)?;
        let count = more.len();
        self.bytes.extend_from_slice(more);
        self.reader.consume(count);
        Ok(count > 0)
    }

    fn advance(&mut self, length: usize) {
        let end = (self.start + length).min(self.bytes.len());
        self.line += self.bytes[self.start..end].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.start = end;
    }

    /// Length of the line around an offset, counted from the record's start, if its end is in the window.
    fn line_length(&self, from: usize) -> Option<usize> {
        self.rest().iter().skip(from).position(|byte| *byte == b'\n').map(|end| from + end + 1)
    }

    fn has_inner_line_end(&self, length: usize) -> bool {
        self.line_length(0).is_some_and(|first| first < length)
    }

    /// Moves behind the line that holds this offset, reading on where it is longer than the window.
    fn skip_line(&mut self, from: usize) -> Result<(), SourceError> {
        let mut from = from;
        loop {
            if let Some(length) = self.line_length(from) {
                self.advance(length);
                return Ok(());
            }
            let all = self.rest().len();
            self.advance(all);
            from = 0;
            if !self.fill()? {
                return Ok(());
            }
        }
    }
}
