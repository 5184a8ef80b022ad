//! `medhub config`: the settings in force.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::config::Config;

/// Shows the settings in force, without secrets.
#[derive(Debug, Args)]
pub(super) struct ShowConfig {}

impl ShowConfig {
    pub(super) fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        output::result(&config.to_masked_toml()?)?;
        Ok(ExitCode::SUCCESS)
    }
}
