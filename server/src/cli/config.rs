//! `medhub config`: the settings in force.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::config::MedhubConfig;

/// Shows the settings in force, without secrets.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {}

impl ConfigArgs {
    pub(super) fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        output::print_result(&config.to_masked_toml()?)?;
        Ok(ExitCode::SUCCESS)
    }
}
