//! Names of versions: a subject, and a number or `latest`.

use std::fmt;

/// Maximum length of a subject, in bytes, since it is part of an index.
const MAX_SUBJECT_BYTES: usize = 1024;

/// The name that versions of a schema are registered under; by convention the full name of the Avro record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaSubject(String);

/// Why a text is not a valid subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The specified subject '{}' is not a valid subject: {reason}", name.escape_debug())]
pub struct InvalidSchemaSubject {
    name: String,
    reason: &'static str,
}

impl SchemaSubject {
    /// Parses a name, without surrounding white space.
    ///
    /// # Errors
    /// [`InvalidSchemaSubject`] when the name is empty, too long, or contains control characters.
    pub fn try_new(name: &str) -> Result<Self, InvalidSchemaSubject> {
        let name = name.trim();
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_SUBJECT_BYTES {
            "it is longer than 1024 bytes"
        } else if name.chars().any(char::is_control) {
            "it contains control characters"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(InvalidSchemaSubject { name: name.chars().take(64).collect(), reason })
    }

    /// The name as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Selects one version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSelector {
    /// The version with the highest number.
    Latest,
    /// The version with this number, from 1.
    Number(i32),
}

/// A text that does not select a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "The specified version '{}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \
     \"latest\"",
    .0.escape_debug()
)]
pub struct InvalidVersionSelector(String);

impl std::str::FromStr for VersionSelector {
    type Err = InvalidVersionSelector;

    fn from_str(text: &str) -> Result<Self, InvalidVersionSelector> {
        // Confluent's clients also write -1 for the latest.
        if ["latest", "-1"].contains(&text) {
            return Ok(Self::Latest);
        }
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err(InvalidVersionSelector(text.chars().take(64).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_from_one_or_the_latest() {
        assert_eq!("latest".parse(), Ok(VersionSelector::Latest));
        assert_eq!("-1".parse(), Ok(VersionSelector::Latest));
        assert_eq!("2147483647".parse(), Ok(VersionSelector::Number(i32::MAX)));
        for text in ["0", "-2", "2147483648", "", "1.0", "newest"] {
            assert_eq!(text.parse::<VersionSelector>(), Err(InvalidVersionSelector(text.to_owned())));
        }
    }

    #[test]
    fn invalid_subjects_are_refused() {
        assert_eq!(SchemaSubject::try_new(" a/b ü ").unwrap().as_str(), "a/b ü");
        for name in ["", "  ", "a\0b", "a\nb", &"x".repeat(1025)] {
            assert!(SchemaSubject::try_new(name).is_err(), "{name:?}");
        }
    }
}
