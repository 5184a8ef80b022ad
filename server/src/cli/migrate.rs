//! `medhub migrate`: prepares every engine.

use std::{
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use api::{
    app_context::{AppContext, BackingService},
    config::mask_url,
};
use clap::Args;
use schemas::{catalog, registry_client::SchemaRegistryClient};
use tokio::time::timeout;

use super::output;
use crate::{config::MedhubConfig, engine_clients};

/// How long to wait for the schema registry, which in a deployment may start at the same time as this command.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(15);
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The subjects of all event schemas begin with it.
const SUBJECT_PREFIX: &str = "medhub.";

/// Prepares every engine: the Postgres schemas of the event store and of the lists, the event schemas in the registry,
/// the Kafka topics, the `ClickHouse` tables, the Qdrant collections. Safe to repeat and to run concurrently.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {}

impl MigrateArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        // The search's collections have the model's dimension; the model's files are needed only for embedding.
        let app = engine_clients::open_app_context_without_model(config)?;
        app.refuse_unusable_poolers(&[BackingService::POSTGRES, BackingService::Lists]).await?;
        run_step("Postgres schema", eventstore::schema_migration::migrate(&app.pool)).await?;
        register_schemas(&app, config).await?;
        run_step("Kafka topics", eventstore::topic::ensure_topics(&config.engines.kafka)).await?;
        prepare_read_models(&app).await?;
        output::print_message("every engine is prepared");
        Ok(ExitCode::SUCCESS)
    }
}

/// Creates the first generation of each read model, and upgrades the tables of existing generations to this release.
async fn prepare_read_models(app: &AppContext) -> anyhow::Result<()> {
    let control = app.runtime.control();
    let models = app.all_projections();
    app.runtime.register_projections(&models).await?;
    let pointer = control.load_pointer().await?;
    for projection in &models {
        let name = projection.name();
        for build in control.load_generations().await?.into_iter().filter(|build| build.projection == name) {
            let step = format!("generation {} of {name}", build.generation);
            run_step(&step, projection.with_generation(build.generation).prepare()).await?;
        }
        run_step(
            &format!("the active generation of {name}"),
            projection.with_generation(pointer.active_generation(name)).switch_direct_readers(),
        )
        .await?;
    }
    Ok(())
}

/// Registers all event schemas: an incompatible one must fail here rather than with the first event that uses it.
async fn register_schemas(app: &AppContext, config: &MedhubConfig) -> anyhow::Result<()> {
    wait_for_registry(app, config).await?;
    // One request instead of one for each schema, as nearly all are registered by the release before. A schema that is not
    // listed is registered once more, which changes nothing if the list is incomplete.
    let listing = timeout(LIST_TIMEOUT, app.registry_client.list_schemas(SUBJECT_PREFIX));
    let listed = match listing.await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => {
            tracing::debug!(%error, "listing the registered schemas failed");
            vec![]
        }
        Err(_elapsed) => {
            tracing::debug!(timeout_s = LIST_TIMEOUT.as_secs(), "listing the registered schemas took too long");
            vec![]
        }
    };
    let registry = SchemaRegistryClient::new(&config.engines.registry)?;
    for schema in catalog::all_schemas() {
        if listed.iter().any(|listed| listed.is_equal_to(schema)) {
            continue;
        }
        let (event_type, version) = (schema.event_type, schema.version);
        let id = registry.resolve_schema_id(schema).await;
        let id = id.with_context(|| format!("registering the schema of {event_type} {version}"))?;
        tracing::info!(event.r#type = event_type, event.version = version, schema.id = id, "schema registered");
    }
    Ok(())
}

async fn wait_for_registry(app: &AppContext, config: &MedhubConfig) -> anyhow::Result<()> {
    let deadline = Instant::now() + REGISTRY_TIMEOUT;
    while let Err(error) = app.ping(BackingService::REGISTRY).await {
        if Instant::now() > deadline {
            return Err(error).with_context(|| {
                format!(
                    "the schema registry does not answer at {}; start `medhub serve --role registry`, or set {} to \
                     the address of another registry",
                    mask_url(&config.engines.registry.url),
                    BackingService::REGISTRY.env_variable()
                )
            });
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Ok(())
}

async fn run_step<E>(name: &str, work: impl Future<Output = Result<(), E>>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    work.await.with_context(|| format!("preparing {name}; `medhub doctor` says which engine is unavailable"))?;
    tracing::info!(store = name, "prepared");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_of_all_schemas_are_listed() {
        assert!(catalog::all_schemas().iter().all(|schema| schema.subject.starts_with(SUBJECT_PREFIX)));
    }
}
