//! Migrates the schema of the database.

use std::borrow::Cow;

use futures::future::BoxFuture;
use sqlx::{
    PgPool,
    error::BoxDynError,
    migrate::{Migration, MigrationSource, MigrationType, Migrator},
    postgres::PgPoolOptions,
};

use crate::error::{LogError, postgres_error};

/// Key of the advisory lock that serializes migrations: 'MHMG'.
const MIGRATION_LOCK: i64 = 0x4d48_4d47;

/// Begins the transaction of each migration, and that which waits for other programs: building an index takes as long as
/// the table is large. A setting of the session would stay with a pooler's session, for other clients.
const WITHOUT_LIMIT: &str = "set local statement_timeout = 0";

/// Applies the missing migrations. Safe to run at any time and by several processes at once. Leaves migrations of a
/// newer release as they are: a deployment that is rolled back migrates again.
///
/// # Errors
/// [`LogError::Migrate`] when a migration fails or an applied one was edited since, [`LogError::Postgres`] when the
/// database does not answer.
pub async fn migrate(pool: &PgPool) -> Result<(), LogError> {
    let doing = || postgres_error("waiting for other migrations");
    let pool = &PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(pool.options().get_acquire_timeout())
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    // A transaction-level lock: sqlx's own lock is session-level, and behind a session-sharing pooler it would never be
    // released.
    let mut transaction = pool.begin().await.map_err(doing())?;
    sqlx::query(WITHOUT_LIMIT).execute(&mut *transaction).await.map_err(doing())?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(doing())?;
    let mut migrator = Migrator::new(EmbeddedMigrations).await.map_err(LogError::Migrate)?;
    migrator.set_locking(false);
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.map_err(LogError::Migrate)?;
    transaction.commit().await.map_err(doing())?;
    pool.close().await;
    Ok(())
}

/// Whether every migration of this release is applied: a service may start while they are.
///
/// # Errors
/// [`sqlx::Error`] when Postgres or the connection fails.
pub async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let has_table: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(pool).await?;
    if !has_table {
        return Ok(false);
    }
    let last = MIGRATIONS.iter().map(|(number, _, _)| *number).max().unwrap_or_default();
    sqlx::query_scalar("select exists (select from _sqlx_migrations where version = $1 and success)")
        .bind(last)
        .fetch_one(pool)
        .await
}

/// Number, description and text of each migration, in order; `build.rs` lists them.
const MIGRATIONS: &[(i64, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The migrations of this release, as sqlx reads them.
#[derive(Debug)]
struct EmbeddedMigrations;

impl MigrationSource<'static> for EmbeddedMigrations {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migration = |(number, description, text): &(i64, &'static str, &'static str)| {
            let (description, text) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
            let mut migration = Migration::new(*number, description, MigrationType::Simple, text, false);
            // After its checksum was computed, which is the file's.
            migration.sql = Cow::Owned(format!("{WITHOUT_LIMIT};\n{}", migration.sql));
            migration
        };
        Box::pin(async move { Ok(MIGRATIONS.iter().map(migration).collect()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrations_have_no_time_limit_and_the_checksums_of_their_files() {
        let migrations = EmbeddedMigrations.resolve().await.unwrap();
        assert_eq!(migrations.len(), MIGRATIONS.len());
        for (migration, (number, description, text)) in migrations.iter().zip(MIGRATIONS) {
            let (description, file) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
            let of_file = Migration::new(*number, description, MigrationType::Simple, file, false);
            assert_eq!(migration.checksum, of_file.checksum, "migration {number}");
            assert_eq!(migration.sql, format!("set local statement_timeout = 0;\n{text}"), "migration {number}");
        }
    }
}
