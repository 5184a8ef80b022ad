//! Bounds on the depth and size of a JSON text, checked before it is parsed.

/// Maximum nesting of lists and objects.
pub(crate) const MAX_NESTING: usize = 64;

/// Maximum number of values; each member of an object counts.
pub(crate) const MAX_VALUES: usize = 20_000;

/// Which bound a JSON text exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonBoundsError {
    #[error("it nests deeper than {MAX_NESTING}")]
    TooDeep,
    #[error("it has more than {MAX_VALUES} values")]
    TooLarge,
}

/// Scans each byte once, without validating the JSON: the parser does that.
///
/// # Errors
/// [`JsonBoundsError`] at the first byte beyond a bound.
pub(crate) fn check_json_bounds(text: &[u8]) -> Result<(), JsonBoundsError> {
    let (mut depth, mut values, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = skip_string(text, at),
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(JsonBoundsError::TooDeep);
        }
        if values > MAX_VALUES {
            return Err(JsonBoundsError::TooLarge);
        }
    }
    Ok(())
}

/// The index after the quote that ends the string whose content begins at `at`.
fn skip_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_values_are_limited_and_strings_are_skipped() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check_json_bounds(nested(MAX_NESTING).as_bytes()), Ok(()));
        assert_eq!(check_json_bounds(nested(MAX_NESTING + 1).as_bytes()), Err(JsonBoundsError::TooDeep));
        assert_eq!(
            check_json_bounds(r#"{"a":"#.repeat(100).as_bytes()),
            Err(JsonBoundsError::TooDeep),
            "also if it is incomplete"
        );
        assert_eq!(
            check_json_bounds(format!("[{}1]", "1,".repeat(MAX_VALUES)).as_bytes()),
            Err(JsonBoundsError::TooLarge)
        );
        let string = format!(r#"{{"a":"{}\"[[,\\"}}"#, "[,".repeat(MAX_VALUES));
        assert_eq!(check_json_bounds(string.as_bytes()), Ok(()));
    }
}
