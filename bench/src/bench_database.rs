//! A database for one benchmark: created, migrated, and dropped in any case.

use std::{convert::Infallible, panic::AssertUnwindSafe};

use anyhow::{Context, anyhow};
use eventstore::postgres::PostgresConfig;
use futures::FutureExt;
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::termination::TerminationSignals;

/// A fresh, migrated database.
pub(super) struct BenchDatabase {
    pub(super) pool: PgPool,
    pub(super) name: String,
    interrupted: CancellationToken,
}

impl BenchDatabase {
    /// Runs `work` until it ends or SIGINT or SIGTERM arrives, so that the caller can clean up.
    ///
    /// # Errors
    /// The error of `work`, or that it was interrupted or panicked.
    pub(super) async fn run_until_interrupted<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match self.interrupted.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_panic)) => Err(anyhow!("the benchmark panicked; the panic is printed above")),
            None => Err(anyhow!("interrupted; the data of the benchmark is removed")),
        }
    }
}

/// Sessions with a name like this wake the relay up, as the product's sessions do.
const APPLICATION_NAME: &str = "medhub bench";

/// Runs `work` on a fresh, migrated database on the server of `config`, and drops the database in any case.
///
/// # Errors
/// The error of `work`, or of creating or dropping the database.
pub(super) async fn with_bench_database<T>(
    config: &PostgresConfig,
    work: impl AsyncFnOnce(&BenchDatabase) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let server: PgConnectOptions = config.url.expose_secret().parse().context("reading postgres.url")?;
    // Filling the log runs long statements, which are not worth a warning.
    let server = server.disable_statement_logging().application_name(APPLICATION_NAME);
    // Installed before the database is created: from here on a signal cancels the work and does not end the process.
    let mut signals = TerminationSignals::install().context("listening for SIGTERM and SIGINT")?;
    let name = format!("medhub_bench_{}", Uuid::new_v4().simple());
    execute_statement(&server, &format!("create database {name}"))
        .await
        .context("creating the database of the benchmark")?;

    let pool =
        PgPoolOptions::new().max_connections(config.max_connections).connect_lazy_with(server.clone().database(&name));
    let database = BenchDatabase { pool, name: name.clone(), interrupted: CancellationToken::new() };
    let run = async {
        let migrate = async { Ok(eventstore::schema_migration::migrate(&database.pool).await?) };
        database.run_until_interrupted(migrate).await.context("preparing the benchmark's database")?;
        work(&database).await
    };
    let listen = async {
        signals.recv_signal().await;
        database.interrupted.cancel();
        std::future::pending::<Infallible>().await
    };
    let outcome = tokio::select! {
        outcome = run => outcome,
        never = listen => match never {},
    };

    database.pool.close().await;
    let dropped = execute_statement(&server, &format!("drop database if exists {name} with (force)"))
        .await
        .with_context(|| format!("dropping the benchmark's database {name}"));
    outcome.and_then(|result| dropped.map(|()| result))
}

/// Runs one statement outside the benchmark's database.
async fn execute_statement(server: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    connection.execute(statement).await?;
    connection.close().await
}
