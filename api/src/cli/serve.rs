//! `medhub serve`: runs the service.

use std::process::ExitCode;

use clap::Args;

use crate::{
    config::Config,
    serve::{self, Role},
    store::Stores,
};

/// Runs the service until SIGTERM or SIGINT; what is under way then comes to its end.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
}

impl Serve {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        if self.role == Role::Registry {
            // It stores schemas only, and starts where no model and no other engine is.
            serve::run_registry(eventstore::postgres::open(&config.postgres)?, &config).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let stores =
            if self.role.embeds() { Stores::open(&config).await? } else { Stores::open_without_model(&config)? };
        serve::run(self.role, &[], stores, config).await?;
        Ok(ExitCode::SUCCESS)
    }
}
