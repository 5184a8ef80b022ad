//! Errors of the harness itself fail the test that uses it, with the reason.

use std::fmt::Debug;

/// The value, or a failed test that says what was being done.
pub(crate) fn or_fail<T, E: Debug>(result: Result<T, E>, doing: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{doing}: {error:?}"),
    }
}
