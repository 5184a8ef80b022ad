//! Values as SQL literals, for `COPY`, which takes no parameters.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

use crate::error::LiteralError;

/// Quotes a text as a literal that means the same under every setting of `standard_conforming_strings`.
///
/// # Errors
/// [`LiteralError::Nul`] when the text contains a NUL character.
pub(super) fn quote_text(value: &str) -> Result<String, LiteralError> {
    if value.contains('\0') {
        return Err(LiteralError::Nul(value.to_owned()));
    }
    // The meaning of a backslash depends on that setting, except in a literal with the prefix E. The space separates
    // the E from a word before it.
    let has_backslash = value.contains('\\');
    let mut literal = String::with_capacity(value.len() + 4);
    literal.push_str(if has_backslash { " E'" } else { "'" });
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            literal.push(character);
        }
        literal.push(character);
    }
    literal.push('\'');
    Ok(literal)
}

/// Formats a time as a literal.
///
/// # Errors
/// [`LiteralError::Year`] when the year is not between 1 and 9999: Postgres would not understand it.
pub(super) fn quote_time(value: DateTime<Utc>) -> Result<String, LiteralError> {
    if !(1..=9999).contains(&value.year()) {
        return Err(LiteralError::Year(value));
    }
    Ok(format!("timestamptz '{}'", value.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parses a literal by the rules of Postgres' manual (4.1.2.1 and 4.1.2.2). Returns its value and the text after
    /// it.
    fn parse_literal(literal: &str) -> (String, String) {
        let escapes = literal.starts_with(" E'");
        let mut rest = literal.trim_start_matches(" E").strip_prefix('\'').unwrap().chars().peekable();
        let mut value = String::new();
        while let Some(character) = rest.next() {
            match character {
                '\'' if rest.peek() == Some(&'\'') => value.extend(rest.next()),
                '\'' => return (value, rest.collect()),
                '\\' if escapes => value.extend(rest.next()),
                '\\' => panic!("the meaning of a backslash depends on a setting in {literal}"),
                other => value.push(other),
            }
        }
        panic!("{literal} does not end")
    }

    #[test]
    fn a_plain_text_is_put_between_quotes() {
        assert_eq!(quote_text("public").unwrap(), "'public'");
        assert_eq!(quote_text("").unwrap(), "''");
    }

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(quote_text("o'hare").unwrap(), "'o''hare'");
        assert_eq!(quote_text(r"a\' or 1=1 --").unwrap(), r" E'a\\'' or 1=1 --'");
    }

    #[test]
    fn a_nul_is_refused() {
        assert_eq!(quote_text("a\0b"), Err(LiteralError::Nul("a\0b".to_owned())));
    }

    #[test]
    fn a_time_keeps_its_microseconds() {
        let at = "2026-03-03T12:17:50.808123999Z".parse().unwrap();
        assert_eq!(quote_time(at).unwrap(), "timestamptz '2026-03-03T12:17:50.808123Z'");
    }

    #[test]
    fn a_year_that_postgres_would_not_understand_is_refused() {
        assert!(matches!(quote_time(DateTime::<Utc>::MIN_UTC), Err(LiteralError::Year(_))));
        assert!(matches!(quote_time(DateTime::<Utc>::MAX_UTC), Err(LiteralError::Year(_))));
    }

    proptest! {
        #[test]
        fn any_text_without_nul_is_parsed_to_the_same_text(value in r#"(['"\\$;E -]|[^\x00]){0,40}"#) {
            prop_assert_eq!(parse_literal(&quote_text(&value).unwrap()), (value, String::new()));
        }
    }
}
