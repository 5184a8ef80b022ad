//! A database for one benchmark: made, migrated, and dropped however the benchmark ends.

use std::panic::AssertUnwindSafe;

use anyhow::{Context, bail};
use eventstore::postgres::PostgresConfig;
use futures::FutureExt;
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// Runs `work` on a fresh, migrated database on the server of `config`, and drops the database when the work is done,
/// fails, panics, or is ended by SIGINT or SIGTERM.
///
/// # Errors
/// What the work failed with, an interruption, or why the database could not be made or dropped.
pub async fn with_own<T>(
    config: &PostgresConfig,
    work: impl AsyncFnOnce(&PgPool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let server: PgConnectOptions = config.url.expose_secret().parse().context("reading postgres.url")?;
    // Filling a log takes long statements, which are no news.
    let server = server.disable_statement_logging();
    // Installed first: from here on a signal ends the work and not the program.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let name = format!("medhub_bench_{}", Uuid::new_v4().simple());
    execute(&server, &format!("create database {name}")).await.context("making a database for the benchmark")?;

    let pool =
        PgPoolOptions::new().max_connections(config.max_connections).connect_lazy_with(server.clone().database(&name));
    let measured = AssertUnwindSafe(async {
        eventstore::postgres::migrate(&pool).await.context("preparing the benchmark's database")?;
        work(&pool).await
    })
    .catch_unwind();
    let outcome = tokio::select! {
        outcome = measured => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };

    pool.close().await;
    let dropped = execute(&server, &format!("drop database if exists {name} with (force)"))
        .await
        .with_context(|| format!("dropping the benchmark's database {name}"));
    match outcome {
        Some(Ok(outcome)) => outcome.and_then(|done| dropped.map(|()| done)),
        Some(Err(panicked)) => std::panic::resume_unwind(panicked),
        None => {
            dropped?;
            bail!("interrupted; the benchmark's database is dropped")
        }
    }
}

/// Runs one statement outside the benchmark's database.
async fn execute(server: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    connection.execute(statement).await?;
    connection.close().await
}
