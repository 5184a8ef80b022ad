//! `medhub migrate`: prepares every store.

use std::{future::Future, process::ExitCode};

use anyhow::Context;
use clap::Args;

use super::output;
use crate::{config::Config, store::Stores};

/// Prepares every store: the Postgres schema, the Kafka topics, the tables of `ClickHouse`, the collection of Qdrant.
/// Safe to repeat and to run twice at once.
#[derive(Debug, Args)]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        let stores = Stores::open(config).await?;
        step("Postgres schema", eventstore::postgres::migrate(&stores.pool)).await?;
        step("Kafka topics", eventstore::topic::ensure(&config.kafka)).await?;
        step("ClickHouse tables", stores.analytics.migrate()).await?;
        // Boxed, because the future of the Qdrant client takes up much of a stack.
        step("Qdrant collection", Box::pin(stores.search.migrate())).await?;
        output::say("every store is prepared");
        Ok(ExitCode::SUCCESS)
    }
}

async fn step<E>(what: &str, work: impl Future<Output = Result<(), E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    work.await.with_context(|| format!("preparing {what}; `medhub doctor` says which store is away"))?;
    tracing::info!(store = what, "prepared");
    Ok(())
}
