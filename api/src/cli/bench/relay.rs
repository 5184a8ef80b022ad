//! `medhub bench relay`: the relay beside a plain producer.

use std::process::ExitCode;

use clap::Args;

use crate::{
    bench::relay::{self, RelayBenchOptions},
    cli::output,
    config::MedhubConfig,
};

/// Carries a log to Kafka through the relay, and the same records through a plain producer, in turns; then times the
/// way from commit to Kafka at a steady rate. Works in a database and on topics of its own, and removes them.
#[derive(Debug, Args)]
pub(super) struct RelayBenchArgs {
    /// How many events the log holds
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    events: u64,
    /// How often each of the two is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Events a second while the way from commit to Kafka is timed
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// For how many seconds that is timed; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    seconds: u32,
}

impl RelayBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, rounds, rate, seconds } = self;
        let report = relay::run(config, RelayBenchOptions { events, rounds, rate, seconds }).await?;
        output::print_result(&serde_json::to_string(&report)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
