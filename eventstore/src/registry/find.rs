//! What is registered, for those who only read.

use apache_avro::Schema;
use sqlx::PgExecutor;

use super::{AvroSchema, Objection, RegistryError, SchemaStore, Subject, VersionId, error::postgres};

/// Most versions of a page, as with Confluent's registry.
const MOST_RECORDED: i64 = 1_000;

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Recorded {
    /// Whose version.
    pub subject: String,
    /// Its number, from 1.
    pub version: i32,
    /// The schema's id, the same under every subject.
    pub id: i32,
    /// The schema, as it was first registered.
    pub schema: String,
}

/// Whether deleted versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleted {
    /// They do not.
    #[default]
    Hidden,
    /// They count like the others.
    Shown,
    /// Only they count.
    Alone,
}

impl Deleted {
    /// For `deleted = any($n)`.
    fn values(self) -> &'static [bool] {
        match self {
            Self::Hidden => &[false],
            Self::Shown => &[false, true],
            Self::Alone => &[true],
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// How many to leave out.
    pub offset: i64,
    /// How many at most; `None` for all.
    pub limit: Option<i64>,
}

impl SchemaStore {
    /// The subjects that begin with `prefix`, by name.
    ///
    /// # Errors
    /// [`RegistryError`] when the database does not answer.
    pub async fn subjects(&self, prefix: &str, deleted: Deleted, page: Page) -> Result<Vec<String>, RegistryError> {
        sqlx::query_scalar(include_str!("subjects.sql"))
            .bind(prefix)
            .bind(deleted.values())
            .bind(deleted == Deleted::Alone)
            .bind(page.offset)
            .bind(page.limit)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres("listing subjects"))
    }

    /// The versions of the subjects that begin with `prefix`, by name and number; of each subject the latest alone where
    /// `is_latest_only` says so. A page has 1,000 at most.
    ///
    /// # Errors
    /// [`RegistryError`] when the database does not answer.
    pub async fn recorded(
        &self,
        prefix: &str,
        deleted: Deleted,
        is_latest_only: bool,
        page: Page,
    ) -> Result<Vec<Recorded>, RegistryError> {
        sqlx::query_as(include_str!("recorded.sql"))
            .bind(prefix)
            .bind(deleted.values())
            .bind(is_latest_only)
            .bind(page.offset)
            .bind(page.limit.unwrap_or(MOST_RECORDED).min(MOST_RECORDED))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres("listing schemas"))
    }

    /// The numbers of a subject's versions.
    ///
    /// # Errors
    /// [`RegistryError`] when it has none or the database does not answer.
    pub async fn versions(&self, subject: &Subject, deleted: Deleted) -> Result<Vec<i32>, RegistryError> {
        let versions: Vec<i32> = sqlx::query_scalar(include_str!("versions.sql"))
            .bind(subject.as_str())
            .bind(deleted.values())
            .fetch_all(&self.pool)
            .await
            .map_err(postgres("listing versions"))?;
        if versions.is_empty() { Err(RegistryError::SubjectNotFound(subject.clone())) } else { Ok(versions) }
    }

    /// One version of a subject.
    ///
    /// # Errors
    /// [`RegistryError`] saying whether the subject or the version is not there, or when the database does not answer.
    pub async fn version(
        &self,
        subject: &Subject,
        version: VersionId,
        deleted: Deleted,
    ) -> Result<Recorded, RegistryError> {
        let number = match version {
            VersionId::Latest => None,
            VersionId::Number(number) => Some(number),
        };
        let found = sqlx::query_as(include_str!("version.sql"))
            .bind(subject.as_str())
            .bind(number)
            .bind(deleted.values())
            .fetch_optional(&self.pool)
            .await
            .map_err(postgres("looking for a version"))?;
        match (found, number) {
            (Some(found), _) => Ok(found),
            (None, None) => Err(RegistryError::SubjectNotFound(subject.clone())),
            (None, Some(number)) => {
                self.versions(subject, deleted).await?;
                Err(RegistryError::VersionNotFound(number))
            }
        }
    }

    /// The version of a subject that has this schema.
    ///
    /// # Errors
    /// [`RegistryError`] saying whether the subject or the schema is not there, or when the database does not answer.
    pub async fn lookup(
        &self,
        subject: &Subject,
        schema: &AvroSchema,
        deleted: Deleted,
    ) -> Result<Recorded, RegistryError> {
        match find(&self.pool, subject, schema, deleted).await? {
            Some(found) => Ok(found),
            None => self.versions(subject, deleted).await.and(Err(RegistryError::SchemaNotFound)),
        }
    }

    /// The schema with this id, also where all its versions are deleted: somewhere there may be data of it.
    ///
    /// # Errors
    /// [`RegistryError`] when there is none or the database does not answer.
    pub async fn schema(&self, id: i32) -> Result<String, RegistryError> {
        sqlx::query_scalar("select original from schema_registry.schemas where id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(postgres("looking for a schema"))?
            .ok_or(RegistryError::IdNotFound(id))
    }

    /// The greatest id that was given out; 0 before the first.
    ///
    /// # Errors
    /// [`RegistryError`] when the database does not answer.
    pub async fn last_id(&self) -> Result<i32, RegistryError> {
        sqlx::query_scalar("select last from schema_registry.ids")
            .fetch_one(&self.pool)
            .await
            .map_err(postgres("looking for the last id"))
    }

    /// The subjects and versions that use a schema.
    ///
    /// # Errors
    /// [`RegistryError`] when there is no such schema or the database does not answer.
    pub async fn users(&self, id: i32, deleted: Deleted) -> Result<Vec<(String, i32)>, RegistryError> {
        let users: Vec<(String, i32)> = sqlx::query_as(include_str!("users.sql"))
            .bind(id)
            .bind(deleted.values())
            .fetch_all(&self.pool)
            .await
            .map_err(postgres("looking for a schema's versions"))?;
        if users.is_empty() {
            self.schema(id).await?;
        }
        Ok(users)
    }

    /// What speaks against `schema` as the next version of a subject; with `version`, what speaks against it beside
    /// that one alone.
    ///
    /// # Errors
    /// [`RegistryError`] when a numbered version is not there or the database does not answer.
    pub async fn objections(
        &self,
        subject: &Subject,
        schema: &AvroSchema,
        version: Option<VersionId>,
    ) -> Result<Vec<Objection>, RegistryError> {
        let mut earlier = match version {
            Some(version @ VersionId::Number(_)) => {
                let found = self.version(subject, version, Deleted::Hidden).await?;
                vec![(found.version, parsed(&found.schema)?)]
            }
            Some(VersionId::Latest) | None => history(&self.pool, subject).await?,
        };
        if version == Some(VersionId::Latest) {
            earlier.drain(..earlier.len().saturating_sub(1));
        }
        Ok(self.level(subject).await?.objections(schema.parsed(), &earlier))
    }
}

/// The version of a subject that has this schema, if one has; the newest, where several have.
pub(super) async fn find(
    executor: impl PgExecutor<'_>,
    subject: &Subject,
    schema: &AvroSchema,
    deleted: Deleted,
) -> Result<Option<Recorded>, RegistryError> {
    sqlx::query_as(include_str!("find.sql"))
        .bind(subject.as_str())
        .bind(schema.canonical())
        .bind(deleted.values())
        .fetch_optional(executor)
        .await
        .map_err(postgres("looking for a schema under a subject"))
}

/// The versions of a subject that are not deleted, by number.
pub(super) async fn history(
    executor: impl PgExecutor<'_>,
    subject: &Subject,
) -> Result<Vec<(i32, Schema)>, RegistryError> {
    let texts: Vec<(i32, String)> = sqlx::query_as(include_str!("history.sql"))
        .bind(subject.as_str())
        .fetch_all(executor)
        .await
        .map_err(postgres("reading the versions of a subject"))?;
    texts.into_iter().map(|(version, text)| Ok((version, parsed(&text)?))).collect()
}

fn parsed(text: &str) -> Result<Schema, RegistryError> {
    Schema::parse_str(text).map_err(|error| RegistryError::Stored { what: error.to_string() })
}
