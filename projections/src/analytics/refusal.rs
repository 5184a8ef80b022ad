//! Which errors of `ClickHouse` are about the rows, and which about the server.

use clickhouse::error::Error;

use crate::runtime::ProjectionError;

/// `ClickHouse`'s codes for rows that it cannot read or convert: other rows may be welcome. All other codes - no space,
/// no memory, too many parts, no such table, read only - say something about the server, and waiting may help.
const ABOUT_ROWS: [u32; 18] = [
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

/// Codes for a table or database that is not there.
const NO_TABLES: [u32; 2] = [60, 81];

/// The tables are not there; only a person can bring them back.
#[derive(Debug, thiserror::Error)]
#[error("the tables are gone, `medhub rebuild analytics` makes them again")]
struct NoTables(#[source] Error);

/// What the runtime should do about an error of an insert.
pub(super) fn classified(error: Error) -> ProjectionError {
    match code_of(&error) {
        Some(code) if ABOUT_ROWS.contains(&code) => ProjectionError::refused(error),
        Some(code) if NO_TABLES.contains(&code) => ProjectionError::unavailable(NoTables(error)),
        // A row that the client itself could not write down.
        None if matches!(error, Error::Custom(_)) => ProjectionError::refused(error),
        Some(_) | None => ProjectionError::unavailable(error),
    }
}

/// The number in `Code: 27. DB::Exception: ...`.
fn code_of(error: &Error) -> Option<u32> {
    let Error::BadResponse(text) = error else { return None };
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u32) -> ProjectionError {
        classified(Error::BadResponse(format!("Code: {code}. DB::Exception: because. (NAME) (version 26.5)")))
    }

    #[test]
    fn rows_that_cannot_be_read_are_refused() {
        for code in ABOUT_ROWS {
            assert!(matches!(answered(code), ProjectionError::Refused(_)), "{code}");
        }
        assert!(matches!(classified(Error::Custom("year 20226".to_owned())), ProjectionError::Refused(_)));
    }

    #[test]
    fn what_ails_the_server_is_waited_for() {
        // No space, no memory, too many parts, read only, timeout, no such table or database, wrong password.
        for code in [243, 241, 252, 164, 159, 60, 81, 516, 1001] {
            assert!(matches!(answered(code), ProjectionError::Unavailable(_)), "{code}");
        }
        for error in [Error::TimedOut, Error::BadResponse("502 Bad Gateway".to_owned())] {
            assert!(matches!(classified(error), ProjectionError::Unavailable(_)));
        }
    }

    #[test]
    fn missing_tables_say_what_brings_them_back() {
        let ProjectionError::Unavailable(source) = answered(60) else { panic!("not unavailable") };
        assert!(source.to_string().contains("medhub rebuild analytics"), "{source}");
    }
}
