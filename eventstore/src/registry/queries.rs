//! Queries of subjects, versions and schemas.

use std::sync::Arc;

use sqlx::{FromRow, PgExecutor, Row as _, postgres::PgRow};
use tokio_util::sync::CancellationToken;

use super::{
    AvroSchema, CompatibilityViolation, SchemaStore, SchemaStoreError, SchemaSubject, VersionSelector,
    error::postgres_error,
};

/// Maximum number of versions in a page, as in Confluent's registry.
const MAX_PAGE_VERSIONS: i64 = 1_000;

/// A registered version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredVersion {
    /// The subject.
    pub subject: String,
    /// Number of the version, from 1.
    pub version: i32,
    /// The schema's id, the same under every subject.
    pub id: i32,
    /// Text of the schema, as it was first registered.
    pub schema: String,
}

impl FromRow<'_, PgRow> for RegisteredVersion {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            subject: row.try_get("subject")?,
            version: row.try_get("version")?,
            id: row.try_get("id")?,
            schema: row.try_get("schema")?,
        })
    }
}

/// Whether a query includes deleted versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletedFilter {
    /// Without deleted versions.
    #[default]
    Exclude,
    /// With deleted versions.
    Include,
    /// Only deleted versions.
    Only,
}

impl DeletedFilter {
    /// The values for `deleted = any($n)`.
    fn values(self) -> &'static [bool] {
        match self {
            Self::Exclude => &[false],
            Self::Include => &[false, true],
            Self::Only => &[true],
        }
    }
}

/// Offset and limit of a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct OffsetPage {
    /// Number of entries to skip.
    pub offset: i64,
    /// Maximum number of entries; `None` for all.
    pub limit: Option<i64>,
}

impl SchemaStore {
    /// Lists the subjects that begin with `prefix`, ordered by name.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn list_subjects(
        &self,
        prefix: &str,
        deleted: DeletedFilter,
        page: OffsetPage,
    ) -> Result<Vec<String>, SchemaStoreError> {
        sqlx::query_scalar(include_str!("list_subjects.sql"))
            .bind(prefix)
            .bind(deleted.values())
            .bind(deleted == DeletedFilter::Only)
            .bind(page.offset)
            .bind(page.limit)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing subjects"))
    }

    /// Lists the versions of the subjects that begin with `prefix`, ordered by subject and number; with
    /// `latest_only`, only the latest of each subject. A page has at most 1,000.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn list_versions(
        &self,
        prefix: &str,
        deleted: DeletedFilter,
        latest_only: bool,
        page: OffsetPage,
    ) -> Result<Vec<RegisteredVersion>, SchemaStoreError> {
        sqlx::query_as(include_str!("list_versions.sql"))
            .bind(prefix)
            .bind(deleted.values())
            .bind(latest_only)
            .bind(page.offset)
            .bind(page.limit.unwrap_or(MAX_PAGE_VERSIONS).min(MAX_PAGE_VERSIONS))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing schemas"))
    }

    /// Lists the numbers of a subject's versions.
    ///
    /// # Errors
    /// [`SchemaStoreError::SubjectNotFound`] when it has none; others when the database does not answer.
    pub async fn version_numbers(
        &self,
        subject: &SchemaSubject,
        deleted: DeletedFilter,
    ) -> Result<Vec<i32>, SchemaStoreError> {
        let versions: Vec<i32> = sqlx::query_scalar(include_str!("version_numbers.sql"))
            .bind(subject.as_str())
            .bind(deleted.values())
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing versions"))?;
        if versions.is_empty() { Err(SchemaStoreError::SubjectNotFound(subject.clone())) } else { Ok(versions) }
    }

    /// Finds one version of a subject.
    ///
    /// # Errors
    /// [`SchemaStoreError::SubjectNotFound`], [`SchemaStoreError::VersionNotFound`]; others when the database does not
    /// answer.
    pub async fn find_version(
        &self,
        subject: &SchemaSubject,
        version: VersionSelector,
        deleted: DeletedFilter,
    ) -> Result<RegisteredVersion, SchemaStoreError> {
        let number = match version {
            VersionSelector::Latest => None,
            VersionSelector::Number(number) => Some(number),
        };
        let found = sqlx::query_as(include_str!("find_version.sql"))
            .bind(subject.as_str())
            .bind(number)
            .bind(deleted.values())
            .fetch_optional(&self.pool)
            .await
            .map_err(postgres_error("finding a version"))?;
        match (found, number) {
            (Some(found), _) => Ok(found),
            (None, None) => Err(SchemaStoreError::SubjectNotFound(subject.clone())),
            (None, Some(number)) => {
                self.version_numbers(subject, deleted).await?;
                Err(SchemaStoreError::VersionNotFound(number))
            }
        }
    }

    /// Finds the version of a subject that has this schema.
    ///
    /// # Errors
    /// [`SchemaStoreError::SubjectNotFound`], [`SchemaStoreError::SchemaNotFound`]; others when the database does not
    /// answer.
    pub async fn find_schema_version(
        &self,
        subject: &SchemaSubject,
        schema: &AvroSchema,
        deleted: DeletedFilter,
    ) -> Result<RegisteredVersion, SchemaStoreError> {
        match find_matching_version(&self.pool, subject, schema, deleted).await? {
            Some(found) => Ok(found),
            None => self.version_numbers(subject, deleted).await.and(Err(SchemaStoreError::SchemaNotFound)),
        }
    }

    /// Returns the text of the schema with this id, even if all its versions are deleted, since data with this id may
    /// exist.
    ///
    /// # Errors
    /// [`SchemaStoreError::IdNotFound`] when there is none; others when the database does not answer.
    pub async fn find_schema(&self, id: i32) -> Result<String, SchemaStoreError> {
        sqlx::query_scalar("select original from schema_registry.schemas where id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(postgres_error("finding a schema"))?
            .ok_or(SchemaStoreError::IdNotFound(id))
    }

    /// The highest id that was assigned; 0 before the first.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the database does not answer.
    pub async fn last_id(&self) -> Result<i32, SchemaStoreError> {
        sqlx::query_scalar("select last from schema_registry.ids")
            .fetch_one(&self.pool)
            .await
            .map_err(postgres_error("reading the last id"))
    }

    /// Lists the subjects and versions that use a schema.
    ///
    /// # Errors
    /// [`SchemaStoreError::IdNotFound`] when there is no such schema; others when the database does not answer.
    pub async fn find_schema_usages(
        &self,
        id: i32,
        deleted: DeletedFilter,
    ) -> Result<Vec<(String, i32)>, SchemaStoreError> {
        let usages: Vec<(String, i32)> = sqlx::query_as(include_str!("find_schema_usages.sql"))
            .bind(id)
            .bind(deleted.values())
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("finding a schema's versions"))?;
        if usages.is_empty() {
            self.find_schema(id).await?;
        }
        Ok(usages)
    }

    /// Checks `schema` as the next version of a subject and returns the violations; with `version`, only those against
    /// that version.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when a numbered version does not exist or the database does not answer.
    pub async fn find_violations(
        &self,
        subject: &SchemaSubject,
        schema: &AvroSchema,
        version: Option<VersionSelector>,
    ) -> Result<Vec<CompatibilityViolation>, SchemaStoreError> {
        let level = self.effective_level(subject).await?;
        let earlier = match version {
            Some(version @ VersionSelector::Number(_)) => {
                let found = self.find_version(subject, version, DeletedFilter::Exclude).await?;
                vec![(found.version, found.schema)]
            }
            Some(VersionSelector::Latest) => load_newest_versions(&self.pool, subject, Some(1)).await?,
            None => load_newest_versions(&self.pool, subject, level.compared_versions()).await?,
        };
        let schema = Arc::clone(schema.parsed());
        let abandoned = CancellationToken::new();
        // Cancels the check when the caller drops this future.
        let _cancel_on_drop = abandoned.clone().drop_guard();
        self.workers.run(move || level.find_violations(&schema, &earlier, &abandoned)).await
    }
}

/// Finds the newest version of a subject that has this schema.
pub(super) async fn find_matching_version(
    executor: impl PgExecutor<'_>,
    subject: &SchemaSubject,
    schema: &AvroSchema,
    deleted: DeletedFilter,
) -> Result<Option<RegisteredVersion>, SchemaStoreError> {
    sqlx::query_as(include_str!("find_matching_version.sql"))
        .bind(subject.as_str())
        .bind(schema.canonical())
        .bind(deleted.values())
        .fetch_optional(executor)
        .await
        .map_err(postgres_error("finding a schema under a subject"))
}

/// Loads number and text of the newest versions of a subject that are not deleted, newest first; all of them without
/// `limit`.
pub(super) async fn load_newest_versions(
    executor: impl PgExecutor<'_>,
    subject: &SchemaSubject,
    limit: Option<i64>,
) -> Result<Vec<(i32, String)>, SchemaStoreError> {
    sqlx::query_as(include_str!("load_newest_versions.sql"))
        .bind(subject.as_str())
        .bind(limit)
        .fetch_all(executor)
        .await
        .map_err(postgres_error("reading the versions of a subject"))
}
