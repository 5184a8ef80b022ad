//! Deleting versions: first so that nobody is given them any more, then for ever.

use sqlx::{PgConnection, Postgres, Transaction};

use super::{RegistryError, SchemaStore, Subject, VersionId, error::postgres, prune};

/// One version as deletion sees it.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Row {
    version: i32,
    schema_id: i32,
    deleted: bool,
}

impl SchemaStore {
    /// Deletes all versions of a subject and its level, and answers with their numbers. Deleting for ever comes only
    /// after deleting.
    ///
    /// # Errors
    /// [`RegistryError`] when the subject is not in the state for it or the database does not answer.
    pub async fn delete_subject(&self, subject: &Subject, for_ever: bool) -> Result<Vec<i32>, RegistryError> {
        let (transaction, rows) = self.rows(subject).await?;
        let chosen: Vec<Row> = if for_ever {
            if rows.iter().any(|row| !row.deleted) {
                return Err(RegistryError::SubjectNotDeleted(subject.clone()));
            }
            rows
        } else {
            rows.into_iter().filter(|row| !row.deleted).collect()
        };
        if chosen.is_empty() {
            return Err(RegistryError::SubjectDeleted(subject.clone()));
        }
        delete(transaction, subject, &chosen, for_ever, true).await?;
        Ok(chosen.iter().map(|row| row.version).collect())
    }

    /// Deletes one version of a subject, and answers with its number. Deleting for ever comes only after deleting.
    ///
    /// # Errors
    /// [`RegistryError`] when the version is not in the state for it or the database does not answer.
    pub async fn delete_version(
        &self,
        subject: &Subject,
        version: VersionId,
        for_ever: bool,
    ) -> Result<i32, RegistryError> {
        let (transaction, rows) = self.rows(subject).await?;
        let row = match version {
            VersionId::Latest => {
                let last = rows.iter().rfind(|row| row.deleted == for_ever);
                *last.ok_or_else(|| RegistryError::SubjectNotFound(subject.clone()))?
            }
            VersionId::Number(number) => {
                let found = rows.iter().find(|row| row.version == number);
                *found.ok_or(RegistryError::VersionNotFound(number))?
            }
        };
        match (row.deleted, for_ever) {
            (true, false) => return Err(RegistryError::VersionDeleted(subject.clone(), row.version)),
            (false, true) => return Err(RegistryError::VersionNotDeleted(subject.clone(), row.version)),
            (true, true) | (false, false) => {}
        }
        let nothing_left = rows.iter().all(|other| other.deleted || other.version == row.version);
        delete(transaction, subject, &[row], for_ever, nothing_left).await?;
        Ok(row.version)
    }

    /// All versions of a subject, and the right to change them.
    async fn rows(&self, subject: &Subject) -> Result<(Transaction<'static, Postgres>, Vec<Row>), RegistryError> {
        let mut transaction = self.exclusive().await?;
        let rows: Vec<Row> = sqlx::query_as(include_str!("rows.sql"))
            .bind(subject.as_str())
            .fetch_all(&mut *transaction)
            .await
            .map_err(postgres("looking for versions to delete"))?;
        if rows.is_empty() { Err(RegistryError::SubjectNotFound(subject.clone())) } else { Ok((transaction, rows)) }
    }
}

async fn delete(
    mut transaction: Transaction<'static, Postgres>,
    subject: &Subject,
    rows: &[Row],
    for_ever: bool,
    nothing_left: bool,
) -> Result<(), RegistryError> {
    let statement = if for_ever { include_str!("delete_versions.sql") } else { include_str!("hide_versions.sql") };
    let versions: Vec<i32> = rows.iter().map(|row| row.version).collect();
    sqlx::query(statement)
        .bind(subject.as_str())
        .bind(&versions)
        .execute(&mut *transaction)
        .await
        .map_err(postgres("deleting versions"))?;
    if for_ever {
        let ids: Vec<i32> = rows.iter().map(|row| row.schema_id).collect();
        prune(&mut transaction, &ids).await?;
    }
    if nothing_left {
        forget_level(&mut transaction, subject).await?;
    }
    transaction.commit().await.map_err(postgres("finishing a deletion"))?;
    tracing::info!(registry.subject = %subject, registry.versions = ?versions, for_ever, "versions deleted");
    Ok(())
}

/// A subject that comes again begins like a new one.
async fn forget_level(connection: &mut PgConnection, subject: &Subject) -> Result<(), RegistryError> {
    sqlx::query("delete from schema_registry.levels where subject = $1")
        .bind(subject.as_str())
        .execute(connection)
        .await
        .map_err(postgres("forgetting a compatibility level"))?;
    Ok(())
}
