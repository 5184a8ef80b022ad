//! A database for one benchmark, on the server of the settings.

use std::str::FromStr;

use api::config::EngineConfig;
use secrecy::ExposeSecret;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::AppendBenchError;

/// A migrated database for this benchmark only.
pub(super) struct AppendBenchDatabase {
    server: PgConnectOptions,
    pub(super) options: PgConnectOptions,
    pub(super) pool: PgPool,
    name: String,
}

impl AppendBenchDatabase {
    /// Creates and migrates the database.
    pub(super) async fn create_database(config: &EngineConfig, connections: u32) -> Result<Self, AppendBenchError> {
        let create_error = |source| AppendBenchError::Database { doing: "creating a database", source };
        let server = PgConnectOptions::from_str(config.postgres.url.expose_secret()).map_err(create_error)?;
        let name = format!("medhub_bench_append_{}", std::process::id());
        let mut admin = PgConnection::connect_with(&server).await.map_err(create_error)?;
        sqlx::query(&format!("create database {name}")).execute(&mut admin).await.map_err(create_error)?;
        let options = server.clone().database(&name);
        let pool = PgPoolOptions::new().max_connections(connections).connect_lazy_with(options.clone());
        let database = Self { server, options, pool, name };
        match eventstore::schema_migration::migrate(&database.pool).await {
            Ok(()) => Ok(database),
            Err(error) => {
                database.drop_database().await?;
                Err(AppendBenchError::Migrate(error))
            }
        }
    }

    /// Drops the database, even if clients are still connected.
    pub(super) async fn drop_database(self) -> Result<(), AppendBenchError> {
        let drop_error =
            |source| AppendBenchError::Database { doing: "dropping the database of the benchmark", source };
        let mut admin = PgConnection::connect_with(&self.server).await.map_err(drop_error)?;
        let statement = format!("drop database if exists {} with (force)", self.name);
        sqlx::query(&statement).execute(&mut admin).await.map_err(drop_error)?;
        Ok(())
    }
}
