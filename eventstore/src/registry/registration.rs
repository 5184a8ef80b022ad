//! Registers a schema under a subject.

use std::sync::Arc;

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::{
    AvroSchema, DeletedFilter, SchemaStore, SchemaStoreError, SchemaSubject,
    compatibility::load_effective_level,
    error::postgres_error,
    queries::{find_matching_version, load_newest_versions},
    schema_workers::run_blocking,
};

/// Result of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaRegistration {
    /// The schema's id, the same under every subject.
    pub id: i32,
    /// Its version under the subject.
    pub version: i32,
}

impl SchemaStore {
    /// Adds a schema as the newest version of a subject, or returns its version if the subject has it already.
    ///
    /// # Errors
    /// [`SchemaStoreError::Incompatible`] when the subject's compatibility level does not allow it; others when the
    /// database does not answer.
    pub async fn register(
        &self,
        subject: &SchemaSubject,
        schema: &AvroSchema,
    ) -> Result<SchemaRegistration, SchemaStoreError> {
        // Most registrations repeat an earlier one and need no lock.
        if let Some(found) = find_matching_version(&self.pool, subject, schema, DeletedFilter::Exclude).await? {
            return Ok(SchemaRegistration { id: found.id, version: found.version });
        }
        let mut transaction = self.begin_exclusive().await?;
        // Another process may have registered it during the wait for the lock.
        if let Some(found) = find_matching_version(&mut *transaction, subject, schema, DeletedFilter::Exclude).await? {
            return Ok(SchemaRegistration { id: found.id, version: found.version });
        }
        let level = load_effective_level(&mut transaction, subject).await?;
        let earlier = load_newest_versions(&mut *transaction, subject, level.compared_versions()).await?;
        let parsed = Arc::clone(schema.parsed());
        let abandoned = CancellationToken::new();
        // Cancels the check when the caller drops this future.
        let _cancel_on_drop = abandoned.clone().drop_guard();
        // Not through `self.workers`: the holder of the lock must not wait for other work on schemas.
        let violations = run_blocking(move || level.find_violations(&parsed, &earlier, &abandoned)).await?;
        if !violations.is_empty() {
            return Err(SchemaStoreError::Incompatible { subject: subject.clone(), objections: violations });
        }
        let id = find_or_create_id(&mut transaction, schema).await?;
        let version = sqlx::query_scalar(include_str!("add_version.sql"))
            .bind(subject.as_str())
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres_error("adding a version"))?;
        transaction.commit().await.map_err(postgres_error("finishing a registration"))?;
        tracing::info!(registry.subject = %subject, registry.version = version, registry.id = id, "schema registered");
        Ok(SchemaRegistration { id, version })
    }
}

/// Returns the id of a schema, a new one if it has none. Requires the lock of [`SchemaStore::begin_exclusive`].
async fn find_or_create_id(connection: &mut PgConnection, schema: &AvroSchema) -> Result<i32, SchemaStoreError> {
    let known: Option<i32> = sqlx::query_scalar("select id from schema_registry.schemas where canonical = $1")
        .bind(schema.canonical())
        .fetch_optional(&mut *connection)
        .await
        .map_err(postgres_error("finding a schema's id"))?;
    if let Some(id) = known {
        return Ok(id);
    }
    sqlx::query_scalar(include_str!("add_schema.sql"))
        .bind(schema.canonical())
        .bind(schema.text())
        .fetch_one(connection)
        .await
        .map_err(postgres_error("adding a schema"))
}
