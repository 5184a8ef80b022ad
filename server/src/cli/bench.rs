//! `medhub bench`: measures a part of the system beside its baseline.

mod api;
mod append;
mod documents;
mod latency;
mod project;
mod relay;
mod replay;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::MedhubConfig;

/// Measures a part of the system beside the raw limit of this machine, and prints its figures as JSON lines. All but
/// `api` and `documents` write to databases and topics of their own, and remove them.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    part: BenchSubcommand,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// Publish the log to Kafka, beside a plain producer
    Relay(relay::RelayBenchArgs),
    /// Apply events from Kafka to the read models, beside plain clients
    Project(project::ProjectionBenchArgs),
    /// Rebuild the read models from the log, beside plain clients
    Rebuild(project::ProjectionBenchArgs),
    /// Time from the commit of an event until each read model shows it
    Latency(latency::LatencyBenchArgs),
    /// Read the log, beside a plain COPY of its table
    Replay(replay::ReplayBenchArgs),
    /// Throughput and latency of a running service
    Api(api::ApiBenchArgs),
    /// Append single commands and batches, beside pgbench
    Append(append::AppendBenchArgs),
    /// Analyse documents in a running service, beside the extraction of their text
    Documents(documents::DocumentBenchArgs),
}

impl BenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        match self.part {
            BenchSubcommand::Relay(part) => part.run(config).await,
            BenchSubcommand::Project(part) => Box::pin(part.project(config)).await,
            BenchSubcommand::Rebuild(part) => part.rebuild(config).await,
            BenchSubcommand::Latency(part) => part.run(config).await,
            BenchSubcommand::Replay(part) => part.run(config).await,
            BenchSubcommand::Api(part) => part.run(config).await,
            BenchSubcommand::Append(append) => append.run(config).await,
            BenchSubcommand::Documents(part) => part.run(config).await,
        }
    }
}
