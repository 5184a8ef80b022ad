//! `medhub bench latency`: time from the commit of an event until a read model shows it.

use std::process::ExitCode;

use bench::latency::{self, LatencyBenchOptions};
use clap::Args;

use crate::{cli::output, config::MedhubConfig};

/// Appends single events at a steady rate and times how long each read model takes to show them, with a relay and
/// workers in this process. Prints one JSON line for each read model.
#[derive(Debug, Args)]
pub(super) struct LatencyBenchArgs {
    /// Events per second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Duration in seconds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
}

impl LatencyBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { rate, seconds } = self;
        for report in latency::run(&config.engines, LatencyBenchOptions { rate, seconds }).await? {
            output::print_result(&serde_json::to_string(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
