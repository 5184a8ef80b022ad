//! `medhub bench`: measures a part of the system beside its raw limit.

mod api;
mod append;
mod latency;
mod project;
mod relay;
mod replay;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::MedhubConfig;

/// Measures a part of the system beside the raw limit of this machine, and prints one JSON line. Writes to a database
/// and to topics of its own, and removes them.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    part: BenchSubcommand,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// Carry the log to Kafka, beside a plain producer
    Relay(relay::RelayBenchArgs),
    /// Take events from Kafka into the read models, beside plain clients
    Project(project::ProjectionBenchArgs),
    /// Rebuild the read models from the log, beside plain clients
    Rebuild(project::ProjectionBenchArgs),
    /// Time the way from a commit until each store shows it
    Latency(latency::LatencyBenchArgs),
    /// Read the log, beside a plain COPY of it
    Replay(replay::ReplayBenchArgs),
    /// What a caller gets from a running service
    Api(api::ApiBenchArgs),
    /// Appending: single commands and batches, beside pgbench
    Append(append::AppendBenchArgs),
}

impl BenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        match self.part {
            BenchSubcommand::Relay(part) => part.run(config).await,
            BenchSubcommand::Project(part) => part.project(config).await,
            BenchSubcommand::Rebuild(part) => part.rebuild(config).await,
            BenchSubcommand::Latency(part) => part.run(config).await,
            BenchSubcommand::Replay(part) => part.run(config).await,
            BenchSubcommand::Api(part) => part.run(config).await,
            BenchSubcommand::Append(append) => append.run(config).await,
        }
    }
}
