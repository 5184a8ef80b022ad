//! Errors with their causes, for messages and logs.

use std::error::Error;

/// Formats an error and its causes on one line. A cause that its error's text already ends with is not repeated.
pub fn format_error_chain(error: &(dyn Error + '_)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
