//! A writer's connection, which is opened again after it broke, for as long as a killed server may take to restart.

use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};

const RECONNECT_TIMEOUT: Duration = Duration::from_secs(90);
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// A connection, or none until it is needed.
#[derive(Debug)]
pub(in crate::faults) struct WriterSession {
    url: String,
    name: String,
    connection: Option<PgConnection>,
}

impl WriterSession {
    pub(in crate::faults) fn new(url: &str, name: &str) -> Self {
        Self { url: url.to_owned(), name: name.to_owned(), connection: None }
    }

    /// The current connection, or a new one if there is none.
    pub(in crate::faults) async fn connection(&mut self) -> anyhow::Result<&mut PgConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.url, &self.name).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Drops a connection in an unknown state; the server rolls back its open transaction.
    pub(in crate::faults) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Opens a second connection beside this one.
    pub(in crate::faults) async fn connect_another(&self) -> anyhow::Result<PgConnection> {
        connect(&self.url, &self.name).await
    }
}

async fn connect(url: &str, name: &str) -> anyhow::Result<PgConnection> {
    let options = PgConnectOptions::from_str(url).context("reading the database's URL")?.application_name(name);
    let deadline = Instant::now() + RECONNECT_TIMEOUT;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("{name}: no connection within {RECONNECT_TIMEOUT:?}"));
            }
            Err(_) => tokio::time::sleep(RETRY_DELAY).await,
        }
    }
}
