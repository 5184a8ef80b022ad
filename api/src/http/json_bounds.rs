//! How deep and how large a JSON text is, seen before anything is made of it.

/// Deepest nesting of lists and objects.
pub(super) const DEEPEST: usize = 64;

/// Most values, members of objects counted each.
pub(super) const MOST_VALUES: usize = 20_000;

/// Why a JSON text is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OutOfBounds {
    #[error("it nests deeper than {DEEPEST}")]
    Deep,
    #[error("it has more than {MOST_VALUES} values")]
    Large,
}

/// Looks at each byte once, whether or not the text is JSON: whoever reads it finds that out.
///
/// # Errors
/// [`OutOfBounds`] at the first place beyond a bound.
pub(super) fn check(text: &[u8]) -> Result<(), OutOfBounds> {
    let (mut depth, mut values, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(text, at),
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Err(OutOfBounds::Deep);
        }
        if values > MOST_VALUES {
            return Err(OutOfBounds::Large);
        }
    }
    Ok(())
}

/// Behind the quote that ends the string whose content begins there.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
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
    fn nesting_and_values_are_bounded_and_strings_are_not_looked_into() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(DEEPEST).as_bytes()), Ok(()));
        assert_eq!(check(nested(DEEPEST + 1).as_bytes()), Err(OutOfBounds::Deep));
        assert_eq!(check(r#"{"a":"#.repeat(100).as_bytes()), Err(OutOfBounds::Deep), "whether or not it ends");
        assert_eq!(check(format!("[{}1]", "1,".repeat(MOST_VALUES)).as_bytes()), Err(OutOfBounds::Large));
        let string = format!(r#"{{"a":"{}\"[[,\\"}}"#, "[,".repeat(MOST_VALUES));
        assert_eq!(check(string.as_bytes()), Ok(()));
    }
}
