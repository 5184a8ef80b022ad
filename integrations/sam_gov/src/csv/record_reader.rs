//! Splits CSV into records, in bounded memory and without losing the records after a broken one.
//!
//! The `csv` crate reads an unclosed quote as the start of a field without end: all records after it are lost, and
//! their bytes are in memory. Here a record has a maximum size, text after a closing quote is an error, and after a
//! record whose quotes do not match reading continues on the next physical line.

use std::io::BufRead;

use crate::{MAX_FIELD_BYTES, MAX_ROW_BYTES, SourceError, SourceReader, source};

/// Maximum number of bytes that are read a second time. Bounds the work for a file with many unmatched quotes.
const MAX_REREAD_BYTES: usize = 64 << 20;
/// How much of a broken record is available to [`CsvRecordReader::broken_field`].
const MAX_BROKEN_BYTES: usize = 4 << 10;

/// The result of reading the next record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordStep {
    /// A record; its fields are in [`CsvRecordReader::fields`].
    Record { line: u64 },
    /// A record that cannot be read.
    Broken { line: u64, reason: BrokenRecord },
    /// The source has ended.
    End,
}

/// Why a record cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BrokenRecord {
    Quoting,
    /// As `Quoting`, and the lines through this one are skipped.
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

pub(super) struct CsvRecordReader {
    window: ReadWindow,
    /// The fields of the current record, unquoted and concatenated.
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    /// The beginning of the first line of the last broken record.
    broken_line: Vec<u8>,
    /// Number of fields of the first record.
    width: Option<usize>,
    reread_bytes: usize,
    delimiter: u8,
}

#[derive(Clone, Copy)]
enum ParserState {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote that closes the field, unless another one follows.
    QuoteSeen,
    /// After a carriage return that follows a closing quote.
    ReturnSeen,
}

/// The result of scanning one record; `length` is in bytes from the start of the current record.
enum ScanOutcome {
    Complete { length: usize },
    Mismatch { length: usize },
    TooLarge,
}

impl CsvRecordReader {
    pub(super) fn new(reader: SourceReader, delimiter: u8) -> Self {
        let window = ReadWindow { reader, bytes: Vec::new(), start: 0, line: 1 };
        Self {
            window,
            bytes: Vec::new(),
            ends: Vec::new(),
            broken_line: Vec::new(),
            width: None,
            reread_bytes: 0,
            delimiter,
        }
    }

    /// Discards the number of fields of the first record, so that the next record counts as the first.
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

    /// A field of the last broken record, if it is complete on the record's first line. Delimiters in quotes are not
    /// respected.
    pub(super) fn broken_field(&self, index: usize) -> Option<&[u8]> {
        let mut fields = self.broken_line.split(|byte| *byte == self.delimiter);
        let field = fields.nth(index)?;
        // The last one may be cut off.
        fields.next()?;
        let unquoted = field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        Some(unquoted.unwrap_or(field))
    }

    /// Saves the beginning of the current record, which is broken.
    fn save_broken_line(&mut self) {
        let line = self.window.rest().iter().take(MAX_BROKEN_BYTES).take_while(|byte| **byte != b'\n');
        self.broken_line.clear();
        self.broken_line.extend(line);
    }

    fn finish_record(&mut self, line: u64, length: usize) -> Result<RecordStep, SourceError> {
        let found = self.ends.len();
        let width = *self.width.get_or_insert(found);
        if found != width && self.window.has_inner_line_end(length) {
            let reason = BrokenRecord::FieldCount { found };
            if self.contains_record(length, width)? {
                return self.skip_broken_record(line, length, reason);
            }
            self.save_broken_line();
            self.window.advance(length);
            return Ok(RecordStep::Broken { line, reason });
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let too_large = starts.zip(&self.ends).position(|(start, end)| end - start > MAX_FIELD_BYTES);
        if too_large.is_some() {
            self.save_broken_line();
        }
        self.window.advance(length);
        Ok(match too_large {
            Some(at) => RecordStep::Broken { line, reason: BrokenRecord::FieldTooLarge { at } },
            None => RecordStep::Record { line },
        })
    }

    /// Whether a complete record starts on a later line of a broken one: it follows an unmatched quote.
    fn contains_record(&mut self, length: usize, width: usize) -> Result<bool, SourceError> {
        let mut from = 0;
        while let Some(next) = self.window.line_length(from).filter(|next| *next < length) {
            from = next;
            let scan = self.scan_record(from)?;
            let end = match scan {
                ScanOutcome::Complete { length } | ScanOutcome::Mismatch { length } => length,
                ScanOutcome::TooLarge => from + MAX_ROW_BYTES,
            };
            self.reread_bytes = self.reread_bytes.saturating_add(end - from);
            let is_complete = matches!(scan, ScanOutcome::Complete { .. }) && self.ends.len() == width;
            if is_complete || self.reread_bytes > MAX_REREAD_BYTES {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Skips the first line of a broken record; when [`MAX_REREAD_BYTES`] are used up, all its lines.
    fn skip_broken_record(
        &mut self,
        line: u64,
        length: usize,
        reason: BrokenRecord,
    ) -> Result<RecordStep, SourceError> {
        self.save_broken_line();
        let first_line = self.window.line_length(0).unwrap_or(length);
        self.reread_bytes = self.reread_bytes.saturating_add(length.saturating_sub(first_line));
        if self.reread_bytes <= MAX_REREAD_BYTES {
            self.window.skip_line(0)?;
            return Ok(RecordStep::Broken { line, reason });
        }
        self.window.skip_line(length.saturating_sub(1))?;
        let through = self.window.line - 1;
        let reason = if through > line { BrokenRecord::Unreadable { through } } else { reason };
        Ok(RecordStep::Broken { line, reason })
    }

    /// Scans the record that starts `from` bytes after the start of the current record.
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

    /// Consumes the next part of the window; `None` at the end of the record.
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

/// Text after a closing quote.
struct QuoteMismatch;

/// The bytes from the start of the current record, as far as they have been read.
struct ReadWindow {
    reader: SourceReader,
    bytes: Vec<u8>,
    /// Where the current record starts in `bytes`.
    start: usize,
    /// The physical line that it starts on.
    line: u64,
}

impl ReadWindow {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads more bytes; `false` at the end of the source.
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

    /// The end of the line that contains the offset `from`, both counted from the start of the record; `None` if it is
    /// not in the window.
    fn line_length(&self, from: usize) -> Option<usize> {
        self.rest().iter().skip(from).position(|byte| *byte == b'\n').map(|end| from + end + 1)
    }

    fn has_inner_line_end(&self, length: usize) -> bool {
        self.line_length(0).is_some_and(|first| first < length)
    }

    /// Skips to the end of the line that contains the offset `from`, and reads on if that is not in the window.
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
