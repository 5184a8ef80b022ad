//! `medhub bench relay`: the relay beside a plain producer.

use std::process::ExitCode;

use bench::relay::{self, RelayBenchOptions};
use clap::Args;

use crate::{cli::output, config::MedhubConfig};

/// Publishes a log to Kafka through the relay, and the same records through a plain producer, in turns; then times from
/// commit to Kafka at a steady rate. Uses its own database and topics, and removes them.
#[derive(Debug, Args)]
pub(super) struct RelayBenchArgs {
    /// Number of events in the log
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    events: u64,
    /// Measurements of each of the two; the median is reported
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Events per second while the latency from commit to Kafka is measured
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Duration of the latency measurement in seconds; 0 skips it
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    seconds: u32,
}

impl RelayBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, rounds, rate, seconds } = self;
        let report = relay::run(&config.engines, RelayBenchOptions { events, rounds, rate, seconds }).await?;
        output::print_result(&serde_json::to_string(&report)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
