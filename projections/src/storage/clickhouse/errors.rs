//! Classifies `ClickHouse` errors: caused by the rows, or by the state of the server.

use clickhouse::error::Error;

use crate::{QueryError, error::BoxedError, runtime::ProjectionError};

pub(super) const STORE: &str = "ClickHouse";

/// `ClickHouse`'s codes for rows that it cannot read or convert; other rows may succeed. All other codes (no space, no
/// memory, too many parts, no such table, read only) concern the server, and a later attempt may succeed.
const ROW_ERROR_CODES: [u32; 18] = [
    6,   // CANNOT_PARSE_TEXT
    26,  // CANNOT_PARSE_QUOTED_STRING
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32,  // ATTEMPT_TO_READ_AFTER_EOF
    33,  // CANNOT_READ_ALL_DATA
    38,  // CANNOT_PARSE_DATE
    41,  // CANNOT_PARSE_DATETIME
    53,  // TYPE_MISMATCH
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    72,  // CANNOT_PARSE_NUMBER
    117, // INCORRECT_DATA
    131, // TOO_LARGE_STRING_SIZE
    321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    376, // CANNOT_PARSE_UUID
    407, // DECIMAL_OVERFLOW
    469, // VIOLATED_CONSTRAINT
];

/// Codes for a table or database that does not exist.
const MISSING_TABLE_CODES: [u32; 2] = [60, 81];

/// The tables do not exist; they are created again only by a rebuild that an operator starts.
#[derive(Debug, thiserror::Error)]
#[error("the tables do not exist; run `medhub rebuild {read_model}`")]
struct MissingTables {
    read_model: &'static str,
    #[source]
    source: Error,
}

pub(super) fn unavailable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

/// Classifies an error of an insert.
pub(super) fn classify_error(error: Error, read_model: &'static str) -> ProjectionError {
    match error_code(&error) {
        Some(code) if ROW_ERROR_CODES.contains(&code) => ProjectionError::rejected(error),
        Some(code) if MISSING_TABLE_CODES.contains(&code) => {
            ProjectionError::unavailable(MissingTables { read_model, source: error })
        }
        // The client could not serialize a row.
        None if matches!(error, Error::Custom(_)) => ProjectionError::rejected(error),
        Some(_) | None => ProjectionError::unavailable(error),
    }
}

/// The number in `Code: 27. DB::Exception: ...`.
pub(super) fn error_code(error: &Error) -> Option<u32> {
    let Error::BadResponse(text) = error else { return None };
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify_code(code: u32) -> ProjectionError {
        classify_error(
            Error::BadResponse(format!("Code: {code}. DB::Exception: because. (NAME) (version 26.5)")),
            "analytics",
        )
    }

    #[test]
    fn rows_that_cannot_be_converted_are_refused() {
        for code in ROW_ERROR_CODES {
            assert!(matches!(classify_code(code), ProjectionError::Rejected(_)), "{code}");
        }
        assert!(matches!(
            classify_error(Error::Custom("year 20226".to_owned()), "analytics"),
            ProjectionError::Rejected(_)
        ));
    }

    #[test]
    fn an_error_of_the_server_is_unavailable() {
        // No space, no memory, too many parts, read only, timeout, no such table or database, wrong password.
        for code in [243, 241, 252, 164, 159, 60, 81, 516, 1001] {
            assert!(matches!(classify_code(code), ProjectionError::Unavailable(_)), "{code}");
        }
        for error in [Error::TimedOut, Error::BadResponse("502 Bad Gateway".to_owned())] {
            assert!(matches!(classify_error(error, "analytics"), ProjectionError::Unavailable(_)));
        }
    }

    #[test]
    fn the_error_of_missing_tables_names_the_rebuild_command() {
        let ProjectionError::Unavailable(source) = classify_code(60) else { panic!("not unavailable") };
        assert!(source.to_string().contains("medhub rebuild analytics"), "{source}");
    }
}
