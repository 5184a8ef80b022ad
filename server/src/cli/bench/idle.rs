//! `medhub bench idle`: what the programs of this machine use while idle.

use std::{process::ExitCode, time::Duration};

use bench::idle;
use clap::Args;

use crate::cli::output;

/// Prints the cores that each program of this machine uses. Ask nothing of the service meanwhile, and run nothing else.
#[derive(Debug, Args)]
pub(super) struct IdleBenchArgs {
    /// Duration of the measurement in seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
}

impl IdleBenchArgs {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let load = idle::measure_idle_load(None, Duration::from_secs(self.seconds.into())).await?;
        output::print_result(&serde_json::to_string(&load)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
