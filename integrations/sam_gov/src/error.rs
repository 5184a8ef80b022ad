//! Errors of rows and of sources. Their texts never quote the source: a shifted column may contain a person's address
//! or phone number, and these texts are written to reports and logs.

use std::{error::Error, io};

use domain::opportunity::InvalidValue;

/// Why one row is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeRowError {
    /// The row has too many or too few fields.
    #[error("the row has {found} fields instead of {expected}")]
    FieldCount {
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// The row's quotes do not match; reading continues on the next line.
    #[error("a quoted field is not closed, or text follows its closing quote")]
    Quoting,
    /// The row's quotes do not match, and after many such rows no more text is read a second time to find the next
    /// complete row.
    #[error("the quotes do not match; the lines from here through line {through} could not be read")]
    Unreadable {
        /// The last line that is skipped.
        through: u64,
    },
    /// The row has bytes that are not text in the source's encoding.
    #[error("the row is not UTF-8; if the source has another encoding, set --encoding, e.g. windows-1252")]
    NotUtf8,
    /// A field exceeds the maximum size.
    #[error("column {column} is larger than {limit} bytes")]
    FieldTooLarge {
        /// The column.
        column: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The row exceeds the maximum size.
    #[error("the row is larger than {limit} bytes")]
    RowTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The record is not JSON.
    #[error("the record is not valid JSON at byte {at}")]
    NotJson {
        /// The byte where parsing failed, counted from 1 on its line of the record.
        at: usize,
    },
    /// Neither a page nor a notice: a response of the API's gateway, a web page, the rest of a truncated page.
    #[error("expected a page or a notice, found {found}")]
    NoPage {
        /// What it appears to be.
        found: &'static str,
    },
    /// The record is JSON, but not a notice.
    #[error("the JSON record does not have the shape of a notice")]
    WrongShape,
    /// A value is invalid.
    #[error("column {column} is invalid")]
    Value {
        /// The column, or the JSON key.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        reason: InvalidFieldReason,
    },
}

impl NoticeRowError {
    /// The column or JSON key that the error concerns, if it concerns one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::FieldTooLarge { column, .. } => Some(column),
            Self::Value { column, .. } => Some(column),
            Self::FieldCount { .. }
            | Self::Quoting
            | Self::Unreadable { .. }
            | Self::NotUtf8
            | Self::RowTooLarge { .. }
            | Self::NotJson { .. }
            | Self::NoPage { .. }
            | Self::WrongShape => None,
        }
    }

    /// The error and its cause in one line, for a report.
    pub fn message_with_cause(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |reason| format!("{self}: {reason}"))
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFieldReason {
    /// A required value is absent or blank.
    #[error("it is empty")]
    Empty,
    /// The value exceeds the maximum length.
    #[error("it is longer than {max} characters")]
    TooLong {
        /// The limit in characters.
        max: usize,
    },
    /// The value does not have the expected form.
    #[error("it is not {expected}")]
    Malformed {
        /// What it should be.
        expected: &'static str,
    },
}

impl From<InvalidValue> for InvalidFieldReason {
    fn from(invalid: InvalidValue) -> Self {
        match invalid {
            InvalidValue::Empty { .. } => Self::Empty,
            InvalidValue::TooLong { max, .. } | InvalidValue::TooMany { max, .. } => Self::TooLong { max },
            InvalidValue::Malformed { expected, .. } => Self::Malformed { expected },
        }
    }
}

/// Why a source cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It has no bytes.
    #[error("the source is empty")]
    Empty,
    /// It is a directory.
    #[error("the source is a directory, not a file")]
    Directory,
    /// Its content is not notices in that format.
    #[error("the source is {found}, not {expected}")]
    NotThisFormat {
        /// The expected content.
        expected: &'static str,
        /// What it appears to be.
        found: &'static str,
    },
    /// The CSV header lacks required columns, or has them more than once. Contact columns may be absent; the order does
    /// not matter.
    #[error("the header has the wrong columns: missing {missing:?}, unexpected {unexpected:?}, duplicate {twice:?}")]
    Columns {
        /// Columns that a notice needs.
        missing: Vec<String>,
        /// Columns that SAM.gov's file does not have.
        unexpected: Vec<String>,
        /// Required columns that occur more than once.
        twice: Vec<String>,
    },
    /// The JSON page is truncated; the rows before are valid.
    #[error("the JSON page is truncated at line {line}")]
    BreaksOff {
        /// The last line that was read.
        line: u64,
    },
    /// The compressed data is damaged or truncated; the rows before are valid.
    #[error("decompressing the source")]
    BrokenGzip(#[source] io::Error),
    /// An I/O error.
    #[error("reading the source")]
    Read(#[source] io::Error),
}
