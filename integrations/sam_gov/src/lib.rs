//! Notices of SAM.gov as files: reads every format that they come in.
//!
//! ```text
//! file or pipe ──open──▶ plain bytes ──detect──▶ format ──rows──▶ Row { line, notice or why not }
//!                (gzip)                                  csv | api_v2 | text
//! ```
//!
//! Everything streams: memory stays constant however large the source is. A value that a notice may lack and that cannot be
//! understood is left out and noted down; only what makes a notice a notice is needed: its id, title, type, agency and date.
//! What is no notice is one rejected [`ParsedRow`] with its line number; only what makes the whole source unusable is a
//! [`SourceError`]. Contact persons are never read into a value.

mod api_v2;
mod csv;
mod encoding;
mod error;
mod field;
mod loose_json;
mod ndjson;
pub mod notice_import;
mod source;
mod spreadsheet;
#[cfg(test)]
mod tests;
pub mod time;

use std::{
    io::BufRead,
    sync::{Arc, Mutex, PoisonError},
};

use domain::opportunity::Notice;

pub use self::{
    csv::CSV_HEADER,
    encoding::SourceEncoding,
    error::{InvalidFieldReason, NoticeRowError, SourceError},
    source::{SourceFormat, detect_format, open_source},
};

/// Largest field in bytes, in any format.
pub const MAX_FIELD_BYTES: usize = 1 << 20;
/// Largest row, JSON line or JSON element in bytes.
pub const MAX_ROW_BYTES: usize = 4 << 20;

/// A source of plain bytes, as [`open_source`] makes it.
pub type SourceReader = Box<dyn BufRead + Send>;

/// One record of a source.
#[derive(Debug)]
pub struct ParsedRow {
    /// The physical line, counted from 1, on which the record starts; the line of its opening brace in JSON.
    pub line: u64,
    /// The notice, or why there is none.
    pub outcome: Result<Notice, NoticeRowError>,
    /// Values of the notice that were left out: each names its column and what is wrong with it.
    pub omitted_values: Vec<NoticeRowError>,
}

/// The records of a source, in its order. Ends after the first [`SourceError`].
pub struct NoticeReader {
    format: Option<FormatReader>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What there is to say about a source beside its rows; complete once they have come to their end.
#[derive(Debug, Clone)]
pub struct SourceWarnings(Arc<Mutex<Vec<String>>>);

impl SourceWarnings {
    /// The warnings so far, each a sentence.
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
/// [`SourceError`] when its beginning shows that it is not of that format, for example a CSV header without the columns
/// that a notice needs.
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
    /// What will be said about the source beside its rows.
    pub fn warnings(&self) -> SourceWarnings {
        SourceWarnings(Arc::clone(&self.warnings))
    }

    /// Notes down what is only known at the end.
    fn collect_warnings(&mut self) {
        let Some(mut format) = self.format.take() else { return };
        let (guessed, mut warnings) = match &mut format {
            FormatReader::Csv(rows) => (rows.decoder().guessed_row_count(), vec![]),
            FormatReader::Json(rows) => (rows.decoder().guessed_row_count(), rows.collect_warnings()),
            FormatReader::Ndjson(rows) => (rows.decoder().guessed_row_count(), vec![]),
        };
        if guessed > 0 {
            warnings.push(format!(
                "{guessed} rows are not UTF-8 and were read as Windows-1252; --encoding names another choice"
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
