//! Opening the database and bringing its schema up to date.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::error::{LogError, postgres};

/// Where the log lives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`; also taken from `DATABASE_URL`.
    pub url: SecretString,
    /// Most connections of one process.
    pub max_connections: u32,
    /// How long a caller waits for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Connections beside these that append the events of single commands.
    pub append_lanes: usize,
    /// Connections beside these that load streams for single commands.
    pub load_lanes: usize,
    /// Most events that commands append together in one statement, and most streams loaded by one.
    pub group_events: usize,
    /// A stream gets a snapshot when this many events had to be folded; 0 for no snapshots at all.
    pub snapshot_every: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: "postgres://127.0.0.1:5432/medhub".to_owned().into(),
            max_connections: 20,
            acquire_timeout_ms: 5_000,
            append_lanes: 2,
            load_lanes: 2,
            group_events: 256,
            snapshot_every: 50,
        }
    }
}

/// Opens a pool; connections are made when first needed.
///
/// # Errors
/// [`LogError::Postgres`] when the URL cannot be understood.
pub fn open(config: &PostgresConfig) -> Result<PgPool, LogError> {
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        .connect_lazy(config.url.expose_secret())
        .map_err(postgres("reading the connection URL"))
}

/// Applies the migrations that are missing; safe to run at any time and by several processes at once.
///
/// # Errors
/// [`LogError::Migrate`] when a migration fails or one that ran was edited since.
pub async fn migrate(pool: &PgPool) -> Result<(), LogError> {
    sqlx::migrate!("../migrations/postgres").run(pool).await.map_err(LogError::Migrate)
}
