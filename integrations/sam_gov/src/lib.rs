//! Reads notices of SAM.gov from files of every published format, and imports them; keeps the log in step with SAM.gov.
//!
//! ```text
//! file or pipe ──open──▶ plain bytes ──detect──▶ format ──read──▶ ParsedRow { line, outcome }
//!                (gzip)                                  csv | api_v2 | ndjson
//! ```
//!
//! Sources are streamed: memory use does not depend on their size. A notice requires an id, a title, a type, an agency
//! and a date; any other value that cannot be parsed is omitted and listed in [`ParsedRow::omitted_values`]. A record
//! that is not a notice is one rejected [`ParsedRow`] with its line number. A [`SourceError`] means that the source
//! cannot be read any further. Contact persons are never read into a value.

mod api_v2;
mod csv;
mod encoding;
mod error;
mod field;
mod loose_json;
mod ndjson;
pub mod notice_import;
mod sam_gov_config;
mod source;
mod spreadsheet;
pub mod sync;
mod sync_source;
#[cfg(test)]
mod tests;
pub mod time;

use std::{
    io::BufRead,
    sync::{Arc, Mutex, PoisonError},
};

use domain::opportunity::{Notice, NoticeId};

pub use self::{
    csv::CSV_HEADER,
    encoding::SourceEncoding,
    error::{InvalidFieldReason, NoticeRowError, SourceError},
    sam_gov_config::{OffsetUnit, SamGovConfig},
    source::{SourceFormat, detect_format, open_source},
    sync_source::SyncSource,
};

/// Maximum size of a field in bytes, in any format.
pub const MAX_FIELD_BYTES: usize = 1 << 20;
/// Maximum size of a row, JSON line or JSON element in bytes.
pub const MAX_ROW_BYTES: usize = 4 << 20;

/// A source of uncompressed bytes, as [`open_source`] returns it.
pub type SourceReader = Box<dyn BufRead + Send>;

/// One record of a source.
#[derive(Debug)]
pub struct ParsedRow {
    /// The physical line that the record starts on, counted from 1; the line of its opening brace in JSON.
    pub line: u64,
    /// The notice, or why the record is rejected.
    pub outcome: Result<Notice, NoticeRowError>,
    /// The id of the record, where it can be read; also of a rejected row.
    pub notice_id: Option<NoticeId>,
    /// The values that were omitted from the notice, each with its column and the reason.
    pub omitted_values: Vec<NoticeRowError>,
}

impl ParsedRow {
    /// A row whose id is known only if it is a notice.
    fn new(line: u64, outcome: Result<Notice, NoticeRowError>, omitted_values: Vec<NoticeRowError>) -> Self {
        let notice_id = outcome.as_ref().ok().map(|notice| notice.notice_id.clone());
        Self { line, outcome, notice_id, omitted_values }
    }
}

/// Iterates over the records of a source in their order. Ends after the first [`SourceError`].
pub struct NoticeReader {
    format: Option<FormatReader>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// Warnings about a source as a whole; complete when all its rows have been read.
#[derive(Debug, Clone)]
pub struct SourceWarnings(Arc<Mutex<Vec<String>>>);

impl SourceWarnings {
    /// The warnings so far, one sentence each.
    pub fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

enum FormatReader {
    Csv(Box<csv::CsvNoticeReader>),
    Json(Box<api_v2::ApiNoticeReader>),
    Ndjson(Box<ndjson::NdjsonNoticeReader>),
}

/// Reads the records of a source.
///
/// # Errors
/// [`SourceError`] when its beginning shows that it does not have that format, for example a CSV header without the
/// required columns.
pub fn read_notices(
    mut reader: SourceReader,
    format: SourceFormat,
    encoding: SourceEncoding,
) -> Result<NoticeReader, SourceError> {
    source::peek_beginning(&mut reader)?;
    let format = match format {
        SourceFormat::Csv => FormatReader::Csv(Box::new(csv::CsvNoticeReader::new(reader, encoding)?)),
        SourceFormat::Json => FormatReader::Json(Box::new(api_v2::ApiNoticeReader::new(reader, encoding))),
        SourceFormat::Ndjson => FormatReader::Ndjson(Box::new(ndjson::NdjsonNoticeReader::new(reader, encoding))),
    };
    Ok(NoticeReader { format: Some(format), warnings: Arc::default() })
}

impl NoticeReader {
    /// The warnings about the source; most are known only when all rows have been read.
    pub fn warnings(&self) -> SourceWarnings {
        SourceWarnings(Arc::clone(&self.warnings))
    }

    /// Adds the warnings that are known only at the end of the source.
    fn collect_warnings(&mut self) {
        let Some(mut format) = self.format.take() else { return };
        let (guessed_rows, mut warnings) = match &mut format {
            FormatReader::Csv(rows) => (rows.decoder().guessed_row_count(), vec![]),
            FormatReader::Json(rows) => (rows.decoder().guessed_row_count(), rows.collect_warnings()),
            FormatReader::Ndjson(rows) => (rows.decoder().guessed_row_count(), vec![]),
        };
        if guessed_rows > 0 {
            warnings.push(format!(
                "{guessed_rows} rows are not UTF-8 and were read as Windows-1252; set --encoding if this is wrong"
            ));
        }
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }
}

impl Iterator for NoticeReader {
    type Item = Result<ParsedRow, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.format.as_mut()? {
            FormatReader::Csv(rows) => rows.next_row(),
            FormatReader::Json(rows) => rows.next_row(),
            FormatReader::Ndjson(rows) => rows.next_row(),
        };
        if !matches!(row, Ok(Some(_))) {
            self.collect_warnings();
        }
        row.transpose()
    }
}
