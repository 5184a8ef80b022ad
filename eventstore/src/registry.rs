//! The schema registry's storage: which schema has which id, which versions a subject has, and what a new one may
//! change.
//!
//! It is a service with storage of its own, like Confluent's topic `_schemas`: it makes its tables when it starts, in a
//! schema of the database that nobody else touches. They are no part of `migrations/postgres`, because `medhub
//! migrate` already needs a registry, and because where `SCHEMA_REGISTRY_URL` names another one they never exist.
//!
//! Nothing is cached, so any number of processes may serve the same tables. Registrations and deletions queue up at
//! one row's lock, which is what makes ids dense and versions follow each other.

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
    /// Over a database; connects when first asked.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, workers: SchemaWorkers::default() }
    }

    /// Makes the tables where they are missing; safe at any time and by several processes at once.
    ///
    /// # Errors
    /// [`SchemaStoreError::Postgres`] when the database does not answer or does not let us.
    pub async fn create_tables(&self) -> Result<(), SchemaStoreError> {
        let doing = "making the tables of the schema registry";
        let mut transaction = self.pool.begin().await.map_err(postgres_error(doing))?;
        sqlx::query("select pg_advisory_xact_lock(hashtext('medhub'), hashtext('schema_registry'))")
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        // Where they are there, the right to make them is not needed.
        let there: bool = sqlx::query_scalar("select to_regclass('schema_registry.levels') is not null")
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        if !there {
            sqlx::raw_sql(include_str!("registry/tables.sql"))
                .execute(&mut *transaction)
                .await
                .map_err(postgres_error(doing))?;
        }
        transaction.commit().await.map_err(postgres_error(doing))
    }

    /// Whether the tables answer.
    ///
    /// # Errors
    /// [`SchemaStoreError::Postgres`] when they do not.
    pub async fn ping(&self) -> Result<(), SchemaStoreError> {
        sqlx::query("select from schema_registry.ids")
            .execute(&self.pool)
            .await
            .map_err(postgres_error("looking for ids"))?;
        Ok(())
    }

    /// A transaction in which nobody else changes versions or gives out ids.
    async fn begin_exclusive(&self) -> Result<Transaction<'static, Postgres>, SchemaStoreError> {
        let mut transaction = self.pool.begin().await.map_err(postgres_error("beginning a change"))?;
        // Whoever holds the lock is done within milliseconds; a process that hangs in it must not take the rest along.
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

/// Deletes those of `ids` that no version uses any more. Their numbers are not given out again.
async fn delete_unused_schemas(connection: &mut PgConnection, ids: &[i32]) -> Result<(), SchemaStoreError> {
    sqlx::query(include_str!("registry/prune.sql"))
        .bind(ids)
        .execute(connection)
        .await
        .map_err(postgres_error("deleting unused schemas"))?;
    Ok(())
}
