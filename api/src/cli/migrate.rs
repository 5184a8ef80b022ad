//! `medhub migrate`: prepares every store.

use std::{
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use schemas::{catalog, registry::Registry};

use super::output;
use crate::{
    config::{Config, masked_url},
    store::{Engine, Stores},
};

/// How long to wait for the schema registry: in a deployment it starts beside this command.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// Prepares every store: the Postgres schema, the events' schemas in the registry, the Kafka topics, the tables of
/// `ClickHouse`, the collection of Qdrant. Safe to repeat and to run twice at once.
#[derive(Debug, Args)]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        let stores = Stores::open(config).await?;
        step("Postgres schema", eventstore::postgres::migrate(&stores.pool)).await?;
        register(&stores, config).await?;
        step("Kafka topics", eventstore::topic::ensure(&config.kafka)).await?;
        prepare_read_models(&stores).await?;
        output::say("every store is prepared");
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the first generation of each read model, and brings those that are there to the shape this program knows.
async fn prepare_read_models(stores: &Stores) -> anyhow::Result<()> {
    let control = stores.runtime.control();
    let models = stores.live.now().all();
    stores.runtime.register(&models).await?;
    let pointer = control.pointer().await?;
    for projection in &models {
        let name = projection.name();
        for build in control.builds().await?.into_iter().filter(|build| build.projection == name) {
            let what = format!("generation {} of {name}", build.generation);
            step(&what, projection.at(build.generation).prepare()).await?;
        }
        step(&format!("what readers of {name} see"), projection.at(pointer.of(name)).publish()).await?;
    }
    Ok(())
}

/// Registers every schema of an event: a breaking one must stop here, and not the first event that has it.
async fn register(stores: &Stores, config: &Config) -> anyhow::Result<()> {
    reach_registry(stores, config).await?;
    let registry = Registry::new(&config.registry);
    for schema in catalog::all() {
        let (event_type, version) = (schema.event_type, schema.version);
        let id = registry.id_of(schema).await;
        let id = id.with_context(|| format!("registering the schema of {event_type} {version}"))?;
        tracing::info!(event.r#type = event_type, event.version = version, schema.id = id, "schema registered");
    }
    Ok(())
}

async fn reach_registry(stores: &Stores, config: &Config) -> anyhow::Result<()> {
    let deadline = Instant::now() + REGISTRY_PATIENCE;
    while let Err(away) = stores.ping(Engine::Registry).await {
        if Instant::now() > deadline {
            return Err(away).with_context(|| {
                format!(
                    "the schema registry does not answer at {}; start `medhub serve --role registry`, or name another \
                     registry in {}",
                    masked_url(&config.registry.url),
                    Engine::Registry.variable()
                )
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn step<E>(what: &str, work: impl Future<Output = Result<(), E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    work.await.with_context(|| format!("preparing {what}; `medhub doctor` says which store is away"))?;
    tracing::info!(store = what, "prepared");
    Ok(())
}
