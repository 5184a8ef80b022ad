//! Why a row, or a whole source, cannot be used. Neither ever quotes what it read: a shifted column may hold a person's
//! address or phone number, and these texts end up in reports and logs.

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
    /// The row's quotes do not match; reading goes on with the next line.
    #[error("a quoted field is not closed, or text follows its closing quote")]
    Quoting,
    /// The row's quotes do not match, and so many rows before it were broken like that that no more text is read twice
    /// to find the next whole one.
    #[error("quotes do not match from here through line {through}; nothing up to there could be read")]
    Unreadable {
        /// The last line that is lost.
        through: u64,
    },
    /// Some byte of the row is not UTF-8.
    #[error("the row is not UTF-8; if the source is of another encoding, name it with --encoding, e.g. windows-1252")]
    NotUtf8,
    /// One field is larger than a field may be.
    #[error("column {column} is larger than {limit} bytes")]
    FieldTooLarge {
        /// The column.
        column: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The row is larger than a row may be.
    #[error("the row is larger than {limit} bytes")]
    RowTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The record is not JSON.
    #[error("the record is not JSON from its byte {at} on")]
    NotJson {
        /// Where it stops being JSON, counted from 1 on the record's last good line.
        at: usize,
    },
    /// What stands where a page or a notice should be is none: an answer of the API's gateway, a web page, the rest of a page
    /// that was cut off.
    #[error("{found} stands here in place of a page or a notice")]
    NoPage {
        /// What it looks like.
        found: &'static str,
    },
    /// The record is JSON, but no notice.
    #[error("the JSON record does not have the shape of a notice")]
    WrongShape,
    /// One value cannot be what it should be.
    #[error("column {column} is not usable")]
    Value {
        /// The column, or the JSON key.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        reason: InvalidFieldReason,
    },
}

impl NoticeRowError {
    /// The column or JSON key that it is about, if it is about one.
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

    /// The whole chain in one line, for a report.
    pub fn message_with_cause(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |reason| format!("{self}: {reason}"))
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFieldReason {
    /// It has to be there.
    #[error("it is empty")]
    Empty,
    /// More than is stored.
    #[error("it is longer than {max} characters")]
    TooLong {
        /// The limit in characters.
        max: usize,
    },
    /// It has another form.
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
    /// It is something else than notices in that format.
    #[error("the source is {found}, not {expected}")]
    NotThisFormat {
        /// What was asked for.
        expected: &'static str,
        /// What it looks like.
        found: &'static str,
    },
    /// The CSV header lacks columns, or has one twice. Contact columns may be absent; the order does not matter.
    #[error("the header does not fit: missing {missing:?}, unexpected {unexpected:?}, twice {twice:?}")]
    Columns {
        /// Columns that a notice needs.
        missing: Vec<String>,
        /// Columns that SAM.gov's file does not have.
        unexpected: Vec<String>,
        /// Columns that are there more than once.
        twice: Vec<String>,
    },
    /// The JSON page ends or breaks off before its end; the rows before are good.
    #[error("the JSON page breaks off at line {line}")]
    BreaksOff {
        /// The last line that was read.
        line: u64,
    },
    /// The compressed data is damaged or cut short; the rows before are good.
    #[error("decompressing the source")]
    BrokenGzip(#[source] io::Error),
    /// The operating system could not read it.
    #[error("reading the source")]
    Read(#[source] io::Error),
}
