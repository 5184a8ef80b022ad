//! Storage of the schema registry: the ids of schemas, the versions of subjects, and the compatibility levels.
//!
//! The registry has its own storage, like Confluent's topic `_schemas`: it creates its tables when it starts, in a
//! database schema that nothing else uses. They are not part of `migrations/postgres`, because `medhub migrate` already
//! requires a registry, and because they do not exist if `SCHEMA_REGISTRY_URL` names another registry.
//!
//! Nothing is cached, so any number of processes may serve the same tables. Registrations and deletions are serialized
//! by the lock of one row, which makes ids and versions consecutive.

mod avro_schema;
mod compatibility;
mod deletion;
mod error;
mod queries;
mod registration;
mod schema_workers;
mod subject;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

pub use self::{
    avro_schema::{AvroSchema, InvalidSchema, MAX_SCHEMA_BYTES},
    compatibility::{CompatibilityLevel, CompatibilityViolation, UnknownCompatibilityLevel},
    error::SchemaStoreError,
    queries::{DeletedFilter, OffsetPage, RegisteredVersion},
    registration::SchemaRegistration,
    subject::{InvalidSchemaSubject, InvalidVersionSelector, SchemaSubject, VersionSelector},
};
use self::{error::postgres_error, schema_workers::SchemaWorkers};

/// The registry's tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SchemaStore {
    pool: PgPool,
    workers: SchemaWorkers,
}

impl SchemaStore {
    /// Creates a store in the database of `pool`; connects on first use.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, workers: SchemaWorkers::default() }
    }

    /// Creates missing tables. Safe to run at any time and by several processes at once.
    ///
    /// # Errors
    /// [`SchemaStoreError::Postgres`] when the database does not answer or the role lacks the right to create them.
    pub async fn create_tables(&self) -> Result<(), SchemaStoreError> {
        let doing = "creating the tables of the schema registry";
        let mut transaction = self.pool.begin().await.map_err(postgres_error(doing))?;
        sqlx::query("select pg_advisory_xact_lock(hashtext('medhub'), hashtext('schema_registry'))")
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        // If the tables exist, the role needs no right to create them.
        let exists: bool = sqlx::query_scalar("select to_regclass('schema_registry.levels') is not null")
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        if !exists {
            sqlx::raw_sql(include_str!("registry/tables.sql"))
                .execute(&mut *transaction)
                .await
                .map_err(postgres_error(doing))?;
        }
        transaction.commit().await.map_err(postgres_error(doing))
    }

    /// Checks that the tables can be read.
    ///
    /// # Errors
    /// [`SchemaStoreError::Postgres`] when they cannot be read.
    pub async fn ping(&self) -> Result<(), SchemaStoreError> {
        sqlx::query("select from schema_registry.ids")
            .execute(&self.pool)
            .await
            .map_err(postgres_error("reading the last id"))?;
        Ok(())
    }

    /// Begins a transaction that excludes others from changing versions or assigning ids.
    async fn begin_exclusive(&self) -> Result<Transaction<'static, Postgres>, SchemaStoreError> {
        let mut transaction = self.pool.begin().await.map_err(postgres_error("beginning a change"))?;
        // The lock is held for milliseconds; a process that hangs while it holds the lock must not block the others.
        sqlx::query("set local lock_timeout = '5s'")
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("limiting the wait for other changes"))?;
        sqlx::query("select from schema_registry.ids for update")
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("waiting for other changes"))?;
        Ok(transaction)
    }
}

/// Deletes those schemas among `ids` that no version uses. Their ids are not assigned again.
async fn delete_unused_schemas(connection: &mut PgConnection, ids: &[i32]) -> Result<(), SchemaStoreError> {
    sqlx::query(include_str!("registry/delete_unused_schemas.sql"))
        .bind(ids)
        .execute(connection)
        .await
        .map_err(postgres_error("deleting unused schemas"))?;
    Ok(())
}
