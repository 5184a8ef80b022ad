//! `medhub project`: runs the workers of some projections.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use projections::read_models;

use crate::{
    config::MedhubConfig,
    engine_clients,
    serve::{self, ProcessRole},
};

/// Runs the workers of the named projections until SIGTERM or SIGINT. Several processes with the same projection share
/// its partitions; `serve --role projections` runs all projections.
#[derive(Debug, Args)]
pub(super) struct ProjectArgs {
    /// Names of the projections
    #[arg(required = true, value_name = "NAME", value_parser = PossibleValuesParser::new(read_models::projection_names()))]
    projections: Vec<String>,
}

impl ProjectArgs {
    pub(super) async fn run(self, config: MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context(&config).await?;
        serve::run(ProcessRole::Projections, &self.projections, app, config).await?;
        Ok(ExitCode::SUCCESS)
    }
}
