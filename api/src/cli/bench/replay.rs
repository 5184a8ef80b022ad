//! `medhub bench replay`: the reader of the log beside a plain `COPY`.

use std::process::ExitCode;

use clap::Args;

use crate::{
    bench::replay::{self, Work},
    cli::output,
    config::Config,
};

/// Reads a log through the replay reader, and the same table through `COPY .. TO STDOUT`, in turns. Works in a database
/// of its own on the server of postgres.url, and drops it.
#[derive(Debug, Args)]
pub(super) struct BenchReplay {
    /// How many events the log holds
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    events: u64,
    /// How often each of the two is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
}

impl BenchReplay {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self { events, rounds } = self;
        let report = replay::run(&config.postgres, Work { events, rounds }).await?;
        output::result(&serde_json::to_string(&report)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
