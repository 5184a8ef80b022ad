//! Why the registry refuses a wish, or cannot meet it.

use super::{CompatibilityViolation, SchemaSubject};

/// A refusal, or a failure of the database behind the registry.
#[derive(Debug, thiserror::Error)]
pub enum SchemaStoreError {
    /// No such subject, or none that is not deleted.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(SchemaSubject),
    /// The subject has no such version.
    #[error("Version {0} not found.")]
    VersionNotFound(i32),
    /// The schema was never registered under the subject.
    #[error("Schema not found")]
    SchemaNotFound,
    /// No schema has this id.
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    /// The subject is deleted already.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectDeleted(SchemaSubject),
    /// Only what was deleted can be deleted for ever.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotDeleted(SchemaSubject),
    /// The version is deleted already.
    #[error("Subject '{0}' Version {1} was soft deleted. Set permanent=true to delete permanently")]
    VersionDeleted(SchemaSubject, i32),
    /// Only what was deleted can be deleted for ever.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotDeleted(SchemaSubject, i32),
    /// The subject follows the global level.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    LevelNotSet(SchemaSubject),
    /// The schema breaks what the subject promises.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Incompatible {
        /// Whose promise.
        subject: SchemaSubject,
        /// What breaks it; never empty.
        objections: Vec<CompatibilityViolation>,
    },
    /// A schema or level is stored that this program does not understand.
    #[error("reading what is stored of the schema registry: {what}")]
    CorruptRecord {
        /// What is not understood.
        what: String,
    },
    /// Postgres did not do what it was asked.
    #[error("{doing} in Postgres")]
    Postgres {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
}

/// For `map_err`: names what was being asked of Postgres.
pub(super) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> SchemaStoreError {
    move |source| SchemaStoreError::Postgres { doing, source }
}
