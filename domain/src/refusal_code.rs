//! Codes of business rules, which clients rely on.

use std::convert::Infallible;

/// A refusal with a code for programs. The codes are part of the API: add codes, never change or remove one.
pub trait RefusalCode: std::error::Error + 'static {
    /// Code of the refusal.
    fn refusal_code(&self) -> &'static str;

    /// Whether the refusal is that the object does not exist or was deleted.
    fn is_missing_object(&self) -> bool;
}

impl RefusalCode for Infallible {
    fn refusal_code(&self) -> &'static str {
        match *self {}
    }

    fn is_missing_object(&self) -> bool {
        match *self {}
    }
}
