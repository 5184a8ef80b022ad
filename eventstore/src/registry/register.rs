//! Registering a schema under a subject.

use sqlx::PgConnection;

use super::{
    AvroSchema, Deleted, RegistryError, SchemaStore, Subject,
    error::postgres,
    find::{find, history},
    level::level,
};

/// What a registration answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The schema's id, the same under every subject.
    pub id: i32,
    /// Its version under the subject.
    pub version: i32,
}

impl SchemaStore {
    /// Makes a schema the newest version of a subject, unless it is one of its versions already.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] when the subject's level does not allow it; others when the database does not
    /// answer.
    pub async fn register(&self, subject: &Subject, schema: &AvroSchema) -> Result<Registered, RegistryError> {
        // Most registrations repeat an earlier one, and need no lock.
        if let Some(found) = find(&self.pool, subject, schema, Deleted::Hidden).await? {
            return Ok(Registered { id: found.id, version: found.version });
        }
        let mut transaction = self.exclusive().await?;
        // Somebody may have been quicker while we waited.
        if let Some(found) = find(&mut *transaction, subject, schema, Deleted::Hidden).await? {
            return Ok(Registered { id: found.id, version: found.version });
        }
        let earlier = history(&mut *transaction, subject).await?;
        let objections = level(&mut transaction, subject).await?.objections(schema.parsed(), &earlier);
        if !objections.is_empty() {
            return Err(RegistryError::Incompatible { subject: subject.clone(), objections });
        }
        let id = id_of(&mut transaction, schema).await?;
        let version = sqlx::query_scalar(include_str!("add_version.sql"))
            .bind(subject.as_str())
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres("adding a version"))?;
        transaction.commit().await.map_err(postgres("finishing a registration"))?;
        tracing::info!(registry.subject = %subject, registry.version = version, registry.id = id, "schema registered");
        Ok(Registered { id, version })
    }
}

/// The id of a schema, a new one where it has none. Needs the lock.
async fn id_of(connection: &mut PgConnection, schema: &AvroSchema) -> Result<i32, RegistryError> {
    let known: Option<i32> = sqlx::query_scalar("select id from schema_registry.schemas where canonical = $1")
        .bind(schema.canonical())
        .fetch_optional(&mut *connection)
        .await
        .map_err(postgres("looking for a schema's id"))?;
    if let Some(id) = known {
        return Ok(id);
    }
    sqlx::query_scalar(include_str!("add_schema.sql"))
        .bind(schema.canonical())
        .bind(schema.text())
        .fetch_one(connection)
        .await
        .map_err(postgres("adding a schema"))
}
