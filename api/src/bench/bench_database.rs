//! A database for one benchmark: made, migrated, and dropped however the benchmark ends.

use std::{convert::Infallible, panic::AssertUnwindSafe};

use anyhow::{Context, anyhow};
use eventstore::postgres::PostgresConfig;
use futures::FutureExt;
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A fresh, migrated database.
pub(super) struct BenchDatabase {
    pub(super) pool: PgPool,
    interrupted: CancellationToken,
}

impl BenchDatabase {
    /// Does what may take long, but no longer than until SIGINT or SIGTERM; what follows it clears up.
    ///
    /// # Errors
    /// What the work failed with, that it was interrupted, or that it panicked.
    pub(super) async fn run_until_interrupted<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match self.interrupted.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_told_already)) => Err(anyhow!("the benchmark has a defect, which is told above")),
            None => Err(anyhow!("interrupted; what the benchmark had made is removed")),
        }
    }
}

/// Runs `work` on a fresh, migrated database on the server of `config`, and drops the database however the work ends.
///
/// # Errors
/// What the work failed with, or why the database could not be made or dropped.
pub(super) async fn with_bench_database<T>(
    config: &PostgresConfig,
    work: impl AsyncFnOnce(&BenchDatabase) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let server: PgConnectOptions = config.url.expose_secret().parse().context("reading postgres.url")?;
    // Filling a log takes long statements, which are no news.
    let server = server.disable_statement_logging();
    // Installed first: from here on a signal ends the work and not the program.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let name = format!("medhub_bench_{}", Uuid::new_v4().simple());
    execute_statement(&server, &format!("create database {name}"))
        .await
        .context("making a database for the benchmark")?;

    let pool =
        PgPoolOptions::new().max_connections(config.max_connections).connect_lazy_with(server.clone().database(&name));
    let own = BenchDatabase { pool, interrupted: CancellationToken::new() };
    let measured = async {
        let migrate = async { Ok(eventstore::postgres::migrate(&own.pool).await?) };
        own.run_until_interrupted(migrate).await.context("preparing the benchmark's database")?;
        work(&own).await
    };
    let listen = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        own.interrupted.cancel();
        std::future::pending::<Infallible>().await
    };
    let outcome = tokio::select! {
        outcome = measured => outcome,
        never = listen => match never {},
    };

    own.pool.close().await;
    let dropped = execute_statement(&server, &format!("drop database if exists {name} with (force)"))
        .await
        .with_context(|| format!("dropping the benchmark's database {name}"));
    outcome.and_then(|done| dropped.map(|()| done))
}

/// Runs one statement outside the benchmark's database.
async fn execute_statement(server: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    connection.execute(statement).await?;
    connection.close().await
}
