//! SAM.gov notices as files: reading every format they come in, and generating one of them.
//!
//! ```text
//! file or pipe ──open──▶ plain bytes ──detect──▶ format ──rows──▶ Row { line, notice or why not }
//!                (gzip)                                  csv | api_v2 | text
//! ```
//!
//! Everything streams: memory stays constant however large the source is. A value that a notice may lack and that cannot be
//! understood is left out and noted down; only what makes a notice a notice is needed: its id, title, type, agency and date.
//! What is no notice is one rejected [`Row`] with its line number; only what makes the whole source unusable is a
//! [`SourceError`]. Contact persons are never read into a value.

mod api_v2;
mod csv;
mod encoding;
mod error;
mod field;
pub mod generate;
mod loose;
mod source;
mod spreadsheet;
#[cfg(test)]
mod tests;
mod text;
pub mod time;

use std::{
    io::BufRead,
    sync::{Arc, Mutex, PoisonError},
};

use domain::opportunity::Notice;

pub use self::{
    csv::HEADER,
    encoding::Encoding,
    error::{Reason, RowError, SourceError},
    source::{Format, detect, open},
};

/// Largest field in bytes, in any format.
pub const MAX_FIELD: usize = 1 << 20;
/// Largest row, JSON line or JSON element in bytes.
pub const MAX_ROW: usize = 4 << 20;

/// A source of plain bytes, as [`open`] makes it.
pub type Reader = Box<dyn BufRead + Send>;

/// One record of a source.
#[derive(Debug)]
pub struct Row {
    /// The physical line, counted from 1, on which the record starts; the line of its opening brace in JSON.
    pub line: u64,
    /// The notice, or why there is none.
    pub outcome: Result<Notice, RowError>,
    /// Values of the notice that were left out: each names its column and what is wrong with it.
    pub left_out: Vec<RowError>,
}

/// The records of a source, in its order. Ends after the first [`SourceError`].
pub struct Rows {
    format: Option<RowsOf>,
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

enum RowsOf {
    Csv(Box<csv::CsvRows>),
    Json(Box<api_v2::PageRows>),
    Ndjson(Box<text::LineRows>),
}

/// Reads the records of a source.
///
/// # Errors
/// [`SourceError`] when its beginning shows that it is not of that format, for example a CSV header without the columns
/// that a notice needs.
pub fn rows(mut reader: Reader, format: Format, encoding: Encoding) -> Result<Rows, SourceError> {
    source::beginning(&mut reader)?;
    let format = match format {
        Format::Csv => RowsOf::Csv(Box::new(csv::CsvRows::new(reader, encoding)?)),
        Format::Json => RowsOf::Json(Box::new(api_v2::PageRows::new(reader, encoding))),
        Format::Ndjson => RowsOf::Ndjson(Box::new(text::LineRows::new(reader, encoding))),
    };
    Ok(Rows { format: Some(format), warnings: Arc::default() })
}

impl Rows {
    /// What will be said about the source beside its rows.
    pub fn warnings(&self) -> SourceWarnings {
        SourceWarnings(Arc::clone(&self.warnings))
    }

    /// Notes down what is only known at the end.
    fn finish(&mut self) {
        let Some(mut format) = self.format.take() else { return };
        let (guessed, mut warnings) = match &mut format {
            RowsOf::Csv(rows) => (rows.decoder().guessed_rows(), vec![]),
            RowsOf::Json(rows) => (rows.decoder().guessed_rows(), rows.finish()),
            RowsOf::Ndjson(rows) => (rows.decoder().guessed_rows(), vec![]),
        };
        if guessed > 0 {
            warnings.push(format!(
                "{guessed} rows are not UTF-8 and were read as Windows-1252; --encoding names another choice"
            ));
        }
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }
}

impl Iterator for Rows {
    type Item = Result<Row, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.format.as_mut()? {
            RowsOf::Csv(rows) => rows.read(),
            RowsOf::Json(rows) => rows.read(),
            RowsOf::Ndjson(rows) => rows.read(),
        };
        if !matches!(row, Ok(Some(_))) {
            self.finish();
        }
        row.transpose()
    }
}
