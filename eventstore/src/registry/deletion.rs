//! Deletes versions: first softly, so that queries leave them out, then permanently.

use sqlx::{FromRow, PgConnection, Postgres, Row as _, Transaction, postgres::PgRow};

use super::{
    SchemaStore, SchemaStoreError, SchemaSubject, VersionSelector, delete_unused_schemas, error::postgres_error,
};

/// The columns of a version that a deletion reads.
#[derive(Debug, Clone, Copy)]
struct VersionRow {
    version: i32,
    schema_id: i32,
    deleted: bool,
}

impl FromRow<'_, PgRow> for VersionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            version: row.try_get("version")?,
            schema_id: row.try_get("schema_id")?,
            deleted: row.try_get("deleted")?,
        })
    }
}

impl SchemaStore {
    /// Deletes all versions of a subject and its level, and returns their numbers. Permanent deletion requires an
    /// earlier soft deletion.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the subject is not in the required state or the database does not answer.
    pub async fn delete_subject(&self, subject: &SchemaSubject, permanent: bool) -> Result<Vec<i32>, SchemaStoreError> {
        let (transaction, rows) = self.lock_versions(subject).await?;
        let chosen: Vec<VersionRow> = if permanent {
            if rows.iter().any(|row| !row.deleted) {
                return Err(SchemaStoreError::SubjectNotDeleted(subject.clone()));
            }
            rows
        } else {
            rows.into_iter().filter(|row| !row.deleted).collect()
        };
        if chosen.is_empty() {
            return Err(SchemaStoreError::SubjectDeleted(subject.clone()));
        }
        delete_versions(transaction, subject, &chosen, permanent, true).await?;
        Ok(chosen.iter().map(|row| row.version).collect())
    }

    /// Deletes one version of a subject, and returns its number. Permanent deletion requires an earlier soft
    /// deletion.
    ///
    /// # Errors
    /// [`SchemaStoreError`] when the version is not in the required state or the database does not answer.
    pub async fn delete_version(
        &self,
        subject: &SchemaSubject,
        version: VersionSelector,
        permanent: bool,
    ) -> Result<i32, SchemaStoreError> {
        let (transaction, rows) = self.lock_versions(subject).await?;
        let row = match version {
            VersionSelector::Latest => {
                let last = rows.iter().rfind(|row| row.deleted == permanent);
                *last.ok_or_else(|| SchemaStoreError::SubjectNotFound(subject.clone()))?
            }
            VersionSelector::Number(number) => {
                let found = rows.iter().find(|row| row.version == number);
                *found.ok_or(SchemaStoreError::VersionNotFound(number))?
            }
        };
        match (row.deleted, permanent) {
            (true, false) => return Err(SchemaStoreError::VersionDeleted(subject.clone(), row.version)),
            (false, true) => return Err(SchemaStoreError::VersionNotDeleted(subject.clone(), row.version)),
            (true, true) | (false, false) => {}
        }
        let is_last = rows.iter().all(|other| other.deleted || other.version == row.version);
        delete_versions(transaction, subject, &[row], permanent, is_last).await?;
        Ok(row.version)
    }

    /// Loads all versions of a subject in a transaction that excludes other changes.
    async fn lock_versions(
        &self,
        subject: &SchemaSubject,
    ) -> Result<(Transaction<'static, Postgres>, Vec<VersionRow>), SchemaStoreError> {
        let mut transaction = self.begin_exclusive().await?;
        let rows: Vec<VersionRow> = sqlx::query_as(include_str!("lock_versions.sql"))
            .bind(subject.as_str())
            .fetch_all(&mut *transaction)
            .await
            .map_err(postgres_error("reading versions to delete"))?;
        if rows.is_empty() { Err(SchemaStoreError::SubjectNotFound(subject.clone())) } else { Ok((transaction, rows)) }
    }
}

async fn delete_versions(
    mut transaction: Transaction<'static, Postgres>,
    subject: &SchemaSubject,
    rows: &[VersionRow],
    permanent: bool,
    deletes_level: bool,
) -> Result<(), SchemaStoreError> {
    let statement = if permanent { include_str!("delete_versions.sql") } else { include_str!("hide_versions.sql") };
    let versions: Vec<i32> = rows.iter().map(|row| row.version).collect();
    sqlx::query(statement)
        .bind(subject.as_str())
        .bind(&versions)
        .execute(&mut *transaction)
        .await
        .map_err(postgres_error("deleting versions"))?;
    if permanent {
        let ids: Vec<i32> = rows.iter().map(|row| row.schema_id).collect();
        delete_unused_schemas(&mut transaction, &ids).await?;
    }
    if deletes_level {
        delete_level(&mut transaction, subject).await?;
    }
    transaction.commit().await.map_err(postgres_error("finishing a deletion"))?;
    tracing::info!(registry.subject = %subject, registry.versions = ?versions, permanent, "versions deleted");
    Ok(())
}

/// Deletes the level of a subject, so that the subject starts without one when it is registered again.
async fn delete_level(connection: &mut PgConnection, subject: &SchemaSubject) -> Result<(), SchemaStoreError> {
    sqlx::query("delete from schema_registry.levels where subject = $1")
        .bind(subject.as_str())
        .execute(connection)
        .await
        .map_err(postgres_error("deleting a compatibility level"))?;
    Ok(())
}
