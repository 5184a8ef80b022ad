//! `medhub project`: runs the workers of some projections.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use projections::catalog;

use crate::{
    config::Config,
    serve::{self, Role},
    store::Stores,
};

/// Runs the workers of the named projections until SIGTERM or SIGINT. Several processes of one projection share its
/// work; `serve --role projections` runs all of them.
#[derive(Debug, Args)]
pub(super) struct Project {
    /// The projections
    #[arg(required = true, value_name = "NAME", value_parser = PossibleValuesParser::new(catalog::NAMES))]
    projections: Vec<String>,
}

impl Project {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open(&config).await?;
        serve::run(Role::Projections, &self.projections, stores, config).await?;
        Ok(ExitCode::SUCCESS)
    }
}
