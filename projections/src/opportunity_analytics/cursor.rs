//! The cursor of the list of opportunities, an opaque token that clients send back.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

/// The position after one opportunity in a list that is sorted newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsCursor {
    posted_at_micros: i64,
    id: String,
}

/// A token that does not decode to a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a cursor that a list returned")]
pub struct InvalidAnalyticsCursor;

impl AnalyticsCursor {
    /// The cursor of the page that begins after an opportunity.
    pub fn after(posted_at: DateTime<Utc>, id: &str) -> Self {
        Self { posted_at_micros: posted_at.timestamp_micros(), id: id.to_owned() }
    }

    pub(super) fn posted_at_micros(&self) -> i64 {
        self.posted_at_micros
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Hexadecimal digits: safe in a URL, and opaque to clients.
impl fmt::Display for AnalyticsCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decoded = format!("{}~{}", self.posted_at_micros, self.id);
        decoded.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AnalyticsCursor {
    type Err = InvalidAnalyticsCursor;

    fn from_str(token: &str) -> Result<Self, InvalidAnalyticsCursor> {
        if !token.is_ascii() || !token.len().is_multiple_of(2) {
            return Err(InvalidAnalyticsCursor);
        }
        let byte = |at| u8::from_str_radix(&token[at..at + 2], 16).map_err(|_| InvalidAnalyticsCursor);
        let bytes = (0..token.len()).step_by(2).map(byte).collect::<Result<Vec<_>, _>>()?;
        let decoded = String::from_utf8(bytes).map_err(|_| InvalidAnalyticsCursor)?;
        let (posted_at, id) = decoded.split_once('~').ok_or(InvalidAnalyticsCursor)?;
        let posted_at_micros = posted_at.parse().map_err(|_| InvalidAnalyticsCursor)?;
        Ok(Self { posted_at_micros, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_parsed_from_its_token() {
        let cursor = AnalyticsCursor::after("2026-03-03T12:17:50.808123Z".parse().unwrap(), "097:Ä~1");
        let token = cursor.to_string();
        assert!(token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
        assert_eq!(token.parse(), Ok(cursor));
    }

    #[test]
    fn a_token_that_is_not_a_cursor_is_refused() {
        for token in ["", "a", "zz", "é1", "4142", "ff", "+1+1"] {
            assert_eq!(token.parse::<AnalyticsCursor>(), Err(InvalidAnalyticsCursor), "{token}");
        }
    }
}
