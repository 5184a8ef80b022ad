//! `medhub serve`: runs the service.

use std::process::ExitCode;

use api::app_context::AppContextError;
use clap::Args;

use crate::{
    config::MedhubConfig,
    engine_clients,
    serve::{self, ProcessRole},
};

/// Runs the service until SIGTERM or SIGINT, then completes the work in progress.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Role of this process
    #[arg(long, value_enum, default_value = "all")]
    role: ProcessRole,
}

impl ServeArgs {
    pub(super) async fn run(self, mut config: MedhubConfig) -> anyhow::Result<ExitCode> {
        if self.role == ProcessRole::Registry {
            // It needs Postgres only, neither the embedding model nor another engine.
            serve::run_registry(eventstore::postgres::open_pool(&config.engines.postgres)?, &config).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let app = if self.role.needs_embedding_model(&config.work) {
            match engine_clients::open_app_context(&config).await {
                Ok(app) => app,
                Err(error @ AppContextError::Model(_)) if self.role == ProcessRole::Work => {
                    // Documents are analysed without the model.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the embedding model cannot be loaded, so that this program generates no proposals"
                    );
                    config.work.generate_proposal = 0;
                    engine_clients::open_app_context_without_model(&config)?
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            engine_clients::open_app_context_without_model(&config)?
        };
        serve::run(self.role, &[], app, config).await?;
        Ok(ExitCode::SUCCESS)
    }
}
