//! SAM.gov notices as files: reading every format they come in, and generating one of them.
//!
//! ```text
//! file or pipe ──open──▶ plain bytes ──detect──▶ format ──rows──▶ Row { line, notice or why not }
//!                (gzip)                                  csv | api_v2 | text
//! ```
//!
//! Everything streams: memory stays constant however large the source is. What cannot be understood is one rejected
//! [`Row`] with its line number; only what makes the whole source unusable is a [`SourceError`]. Contact persons are
//! never read into a value.

mod api_v2;
mod csv;
mod error;
mod field;
pub mod generate;
mod loose;
mod source;
#[cfg(test)]
mod tests;
mod text;
pub mod time;

use std::io::BufRead;

use domain::opportunity::Notice;

pub use self::{
    csv::HEADER,
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
}

/// The records of a source, in its order. Ends after the first [`SourceError`].
pub struct Rows {
    format: Option<RowsOf>,
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
pub fn rows(mut reader: Reader, format: Format) -> Result<Rows, SourceError> {
    source::beginning(&mut reader)?;
    let format = match format {
        Format::Csv => RowsOf::Csv(Box::new(csv::CsvRows::new(reader)?)),
        Format::Json => RowsOf::Json(Box::new(api_v2::PageRows::new(reader))),
        Format::Ndjson => RowsOf::Ndjson(Box::new(text::LineRows::new(reader))),
    };
    Ok(Rows { format: Some(format) })
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
            self.format = None;
        }
        row.transpose()
    }
}
