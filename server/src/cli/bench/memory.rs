//! `medhub bench memory`: the memory of each program while a service works at a steady rate.

use std::{process::ExitCode, time::Duration};

use bench::{
    memory_growth::{self, MemoryBenchOptions, MemoryMeasure},
    suite::ServiceProgram,
};
use clap::Args;

use super::all::{CURRENT_EXE, leading_arguments};
use crate::{cli::output, config::MedhubConfig};

/// Starts a service, sends requests of all kinds to it at a steady rate (views, lists, searches, changes, visits),
/// samples the memory of every program of this machine, and prints one JSON line for each. Everything uses separate
/// databases, topics and keys, and removes them. Options of `medhub` itself, such as --config, come before `bench`.
#[derive(Debug, Args)]
pub(super) struct MemoryBenchArgs {
    /// Duration of the load in minutes
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds between two samples
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=60))]
    sample_seconds: u32,
    /// Notices that are imported before the load begins
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    notices: u64,
}

impl MemoryBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let arguments = leading_arguments(std::env::args_os(), "memory");
        let options = MemoryBenchOptions {
            samples: usize::try_from(self.minutes * 60 / self.sample_seconds)?,
            interval: Duration::from_secs(self.sample_seconds.into()),
            rate: self.rate,
            notices: self.notices,
            service: ServiceProgram { path: CURRENT_EXE.into(), arguments },
        };
        let report_progress = |line: String| output::print_message(&line);
        let print_measure = |measure: &MemoryMeasure| Ok(output::print_result(&serde_json::to_string(measure)?)?);
        Box::pin(memory_growth::run(&config.engines, &options, &report_progress, print_measure)).await?;
        Ok(ExitCode::SUCCESS)
    }
}
