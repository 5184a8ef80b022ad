//! Errors of the schema registry's storage. The messages are taken from Confluent's registry where it has them.

use super::{CompatibilityViolation, SchemaSubject};

/// A refused request, or a failure of the registry's database.
#[derive(Debug, thiserror::Error)]
pub enum SchemaStoreError {
    /// The subject does not exist, or is deleted.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(SchemaSubject),
    /// The subject has no such version.
    #[error("Version {0} not found.")]
    VersionNotFound(i32),
    /// The schema is not registered under the subject.
    #[error("Schema not found")]
    SchemaNotFound,
    /// No schema has this id.
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    /// The subject is deleted already.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectDeleted(SchemaSubject),
    /// Permanent deletion requires an earlier soft deletion.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotDeleted(SchemaSubject),
    /// The version is deleted already.
    #[error("Subject '{0}' Version {1} was soft deleted. Set permanent=true to delete permanently")]
    VersionDeleted(SchemaSubject, i32),
    /// Permanent deletion requires an earlier soft deletion.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotDeleted(SchemaSubject, i32),
    /// The subject has no compatibility level and follows the global one.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    LevelNotSet(SchemaSubject),
    /// The schema violates the subject's compatibility level.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Incompatible {
        /// The subject.
        subject: SchemaSubject,
        /// The violations; never empty.
        objections: Vec<CompatibilityViolation>,
    },
    /// A stored schema or level cannot be parsed.
    #[error("reading a stored record of the schema registry: {what}")]
    CorruptRecord {
        /// The reason.
        what: String,
    },
    /// An operation on Postgres failed.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation.
        doing: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
}

/// For `map_err`: adds the operation to an error of Postgres.
pub(super) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> SchemaStoreError {
    move |source| SchemaStoreError::Postgres { doing, source }
}
