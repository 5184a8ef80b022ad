//! Compatibility levels, and the check of a new version against earlier ones.

use std::{fmt, str::FromStr};

use apache_avro::Schema;
use schemas::{compatibility::find_incompatibilities, schema_parser::parse_schema};
use tokio_util::sync::CancellationToken;

use super::{SchemaStore, SchemaStoreError, SchemaSubject, error::postgres_error};

/// Subject of the global level, which applies to subjects without their own.
const GLOBAL_SUBJECT: &str = "";

/// Maximum number of violations that are listed.
const MAX_VIOLATIONS: usize = 100;

/// What a new version may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompatibilityLevel {
    /// Any change.
    None,
    /// Readers of the new version can read data of the last one.
    #[default]
    Backward,
    /// Readers of the new version can read data of every version.
    BackwardTransitive,
    /// Readers of the last version can read data of the new one.
    Forward,
    /// Readers of every version can read data of the new one.
    ForwardTransitive,
    /// Backward and forward, against the last version.
    Full,
    /// Backward and forward, against every version.
    FullTransitive,
}

/// A text that is not the name of a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid compatibility level '{}'. Valid values are NONE, BACKWARD, FORWARD, FULL, BACKWARD_TRANSITIVE, \
     FORWARD_TRANSITIVE, and FULL_TRANSITIVE",
    .0.escape_debug()
)]
pub struct UnknownCompatibilityLevel(String);

impl CompatibilityLevel {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The name in Confluent's API.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    /// The number of newest versions that a new one is compared with; `None` for all.
    pub(super) fn compared_versions(self) -> Option<i64> {
        (!self.is_transitive()).then_some(1)
    }

    /// Checks `new` as the next version after `earlier`, which is ordered newest first. Returns at most
    /// [`MAX_VIOLATIONS`] violations, and only those found so far when `abandoned` is cancelled. Must be called on a
    /// thread that may block.
    ///
    /// # Errors
    /// [`SchemaStoreError::CorruptRecord`] when an earlier version cannot be read.
    pub(super) fn find_violations(
        self,
        new: &Schema,
        earlier: &[(i32, String)],
        abandoned: &CancellationToken,
    ) -> Result<Vec<CompatibilityViolation>, SchemaStoreError> {
        let mut violations = Vec::new();
        if self == Self::None {
            return Ok(violations);
        }
        for (version, text) in earlier {
            if abandoned.is_cancelled() {
                break;
            }
            let old = parse_schema(text)
                .map_err(|error| SchemaStoreError::CorruptRecord { what: format!("version {version}: {error}") })?;
            violations.extend(self.find_version_violations(*version, new, &old));
            if violations.len() >= MAX_VIOLATIONS {
                break;
            }
        }
        violations.truncate(MAX_VIOLATIONS);
        Ok(violations)
    }

    fn find_version_violations(self, version: i32, new: &Schema, old: &Schema) -> Vec<CompatibilityViolation> {
        let backward = if self.is_backward() { find_incompatibilities(new, old) } else { vec![] };
        let forward = if self.is_forward() { find_incompatibilities(old, new) } else { vec![] };
        let to_violation = |broken: &'static str| {
            move |found: schemas::compatibility::SchemaIncompatibility| CompatibilityViolation {
                path: found.path,
                reason: found.reason,
                version,
                broken,
                level: self,
            }
        };
        let backward = backward.into_iter().map(to_violation("the new schema cannot read its data"));
        backward.chain(forward.into_iter().map(to_violation("it cannot read data of the new schema"))).collect()
    }
}

impl FromStr for CompatibilityLevel {
    type Err = UnknownCompatibilityLevel;

    fn from_str(text: &str) -> Result<Self, UnknownCompatibilityLevel> {
        let upper = text.to_ascii_uppercase();
        let known = Self::ALL.into_iter().find(|level| level.name() == upper);
        known.ok_or_else(|| UnknownCompatibilityLevel(text.chars().take(64).collect()))
    }
}

/// One incompatibility of a new version with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompatibilityViolation {
    /// Path in the schema, e.g. `facts.place.zip`; empty for the whole schema.
    pub path: String,
    /// Why it is incompatible.
    pub reason: String,
    /// The earlier version that it is incompatible with.
    pub version: i32,
    /// Which direction of reading breaks.
    pub broken: &'static str,
    /// The level that forbids it.
    pub level: CompatibilityLevel,
}

impl fmt::Display for CompatibilityViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (version {}: {}; compatibility {})", self.reason, self.version, self.broken, self.level.name())
    }
}

impl SchemaStore {
    /// The global level, which applies to subjects without their own.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn global_level(&self) -> Result<CompatibilityLevel, SchemaStoreError> {
        Ok(load_level(&self.pool, GLOBAL_SUBJECT).await?.unwrap_or_default())
    }

    /// The level that is set for a subject.
    ///
    /// # Errors
    /// [`SchemaStoreError::LevelNotSet`] when it has none; others when the database does not answer.
    pub async fn subject_level(&self, subject: &SchemaSubject) -> Result<CompatibilityLevel, SchemaStoreError> {
        let found = load_level(&self.pool, subject.as_str()).await?;
        found.ok_or_else(|| SchemaStoreError::LevelNotSet(subject.clone()))
    }

    /// The level that applies to a subject: its own, or else the global one.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn effective_level(&self, subject: &SchemaSubject) -> Result<CompatibilityLevel, SchemaStoreError> {
        let mut connection = self.pool.acquire().await.map_err(postgres_error("reading a compatibility level"))?;
        load_effective_level(&mut connection, subject).await
    }

    /// Sets the level of a subject, or the global one.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn set_level(
        &self,
        subject: Option<&SchemaSubject>,
        level: CompatibilityLevel,
    ) -> Result<(), SchemaStoreError> {
        let statement = sqlx::query(include_str!("set_level.sql"));
        let statement = statement.bind(subject.map_or(GLOBAL_SUBJECT, SchemaSubject::as_str)).bind(level.name());
        statement.execute(&self.pool).await.map_err(postgres_error("setting a compatibility level"))?;
        tracing::info!(
            registry.subject = subject.map(SchemaSubject::as_str),
            level = level.name(),
            "compatibility level set"
        );
        Ok(())
    }

    /// Deletes the level of a subject, or the global one, and returns the deleted level.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the subject had none or the database does not answer.
    pub async fn clear_level(&self, subject: Option<&SchemaSubject>) -> Result<CompatibilityLevel, SchemaStoreError> {
        let deleted: Option<String> =
            sqlx::query_scalar("delete from schema_registry.levels where subject = $1 returning level")
                .bind(subject.map_or(GLOBAL_SUBJECT, SchemaSubject::as_str))
                .fetch_optional(&self.pool)
                .await
                .map_err(postgres_error("deleting a compatibility level"))?;
        match (deleted, subject) {
            (Some(level), _) => parse_stored_level(&level),
            (None, Some(subject)) => Err(SchemaStoreError::SubjectNotFound(subject.clone())),
            (None, None) => Ok(CompatibilityLevel::default()),
        }
    }
}

/// Like [`SchemaStore::effective_level`], on a connection.
pub(super) async fn load_effective_level(
    connection: &mut sqlx::PgConnection,
    subject: &SchemaSubject,
) -> Result<CompatibilityLevel, SchemaStoreError> {
    if let Some(own) = load_level(&mut *connection, subject.as_str()).await? {
        return Ok(own);
    }
    Ok(load_level(connection, GLOBAL_SUBJECT).await?.unwrap_or_default())
}

async fn load_level(
    executor: impl sqlx::PgExecutor<'_>,
    subject: &str,
) -> Result<Option<CompatibilityLevel>, SchemaStoreError> {
    let found: Option<String> = sqlx::query_scalar("select level from schema_registry.levels where subject = $1")
        .bind(subject)
        .fetch_optional(executor)
        .await
        .map_err(postgres_error("reading a compatibility level"))?;
    found.as_deref().map(parse_stored_level).transpose()
}

fn parse_stored_level(level: &str) -> Result<CompatibilityLevel, SchemaStoreError> {
    level
        .parse()
        .map_err(|unknown: UnknownCompatibilityLevel| SchemaStoreError::CorruptRecord { what: unknown.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_text(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    const A: &str = r#"{"name":"a","type":"int"}"#;
    const A_AND_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#;
    const A_AND_OPTIONAL_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":0}"#;

    fn is_allowed(level: CompatibilityLevel, new: &str, earlier: &[&str]) -> bool {
        let mut earlier: Vec<_> = (1..).zip(earlier.iter().map(|fields| record_text(fields))).collect();
        earlier.reverse();
        if let Some(limit) = level.compared_versions() {
            earlier.truncate(usize::try_from(limit).unwrap());
        }
        let new = parse_schema(&record_text(new)).unwrap();
        level.find_violations(&new, &earlier, &CancellationToken::new()).unwrap().is_empty()
    }

    #[test]
    fn each_level_allows_the_changes_that_its_readers_can_read() {
        for (level, added, removed, added_with_default) in [
            (CompatibilityLevel::None, true, true, true),
            (CompatibilityLevel::Backward, false, true, true),
            (CompatibilityLevel::Forward, true, false, true),
            (CompatibilityLevel::Full, false, false, true),
        ] {
            assert_eq!(is_allowed(level, A_AND_B, &[A]), added, "{level:?}");
            assert_eq!(is_allowed(level, A, &[A_AND_B]), removed, "{level:?}");
            assert_eq!(is_allowed(level, A_AND_OPTIONAL_B, &[A]), added_with_default, "{level:?}");
        }
    }

    #[test]
    fn only_transitive_levels_compare_with_more_than_the_last_version() {
        // Version 2 has a default that version 3 removes: a reader of version 3 cannot read version 1.
        for (level, transitive) in [
            (CompatibilityLevel::Backward, CompatibilityLevel::BackwardTransitive),
            (CompatibilityLevel::Full, CompatibilityLevel::FullTransitive),
        ] {
            assert!(is_allowed(level, A_AND_B, &[A, A_AND_OPTIONAL_B]), "{level:?}");
            assert!(!is_allowed(transitive, A_AND_B, &[A, A_AND_OPTIONAL_B]), "{transitive:?}");
        }
        assert!(is_allowed(CompatibilityLevel::Forward, A, &[A_AND_B, A_AND_OPTIONAL_B]));
        assert!(!is_allowed(CompatibilityLevel::ForwardTransitive, A, &[A_AND_B, A_AND_OPTIONAL_B]));
    }

    #[test]
    fn every_level_allows_any_first_version() {
        assert!(CompatibilityLevel::ALL.into_iter().all(|level| is_allowed(level, A, &[])));
    }

    #[test]
    fn names_of_levels_are_parsed_in_any_case() {
        for level in CompatibilityLevel::ALL {
            assert_eq!(level.name().to_lowercase().parse(), Ok(level));
        }
        assert_eq!("SIDEWAYS".parse::<CompatibilityLevel>(), Err(UnknownCompatibilityLevel("SIDEWAYS".to_owned())));
    }
}
