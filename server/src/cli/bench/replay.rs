//! `medhub bench replay`: the reader of the log beside a plain `COPY`.

use std::process::ExitCode;

use bench::replay::{self, ReplayBenchOptions};
use clap::Args;

use crate::{cli::output, config::MedhubConfig};

/// Reads a log through the replay reader, and the same table through `COPY .. TO STDOUT`, in turns. Uses its own
/// database on the server of postgres.url, and drops it.
#[derive(Debug, Args)]
pub(super) struct ReplayBenchArgs {
    /// Number of events in the log
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    events: u64,
    /// Measurements of each of the two; the median is reported
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
}

impl ReplayBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, rounds } = self;
        let report = replay::run(&config.engines.postgres, ReplayBenchOptions { events, rounds }).await?;
        output::print_result(&serde_json::to_string(&report)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
