//! `medhub bench`: measures a part of the system beside its baseline.

mod all;
mod api;
mod append;
mod compare;
mod documents;
mod growth;
mod idle;
mod latency;
mod memory;
mod project;
mod relay;
mod replay;

use std::process::ExitCode;

use bench::report::BuildDescription;
use clap::{Args, Subcommand};

use super::output;
use crate::config::MedhubConfig;

/// Measures a part of the system beside the raw limit of this machine, and prints its figures as JSON lines. `all`
/// writes a report, which `compare` compares with another one. All but `api` and `documents` write to separate
/// databases and topics, and remove them.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    part: BenchSubcommand,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// Run all benchmarks, and write a report
    All(all::AllBenchArgs),
    /// Compare two reports, and say what became slower
    Compare(compare::CompareBenchArgs),
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
    /// Processor cores that the programs of this machine use while idle
    Idle(idle::IdleBenchArgs),
    /// Costs with many events, beside those with a tenth of them
    Growth(growth::GrowthBenchArgs),
    /// Memory of each program while a service works at a steady rate
    Memory(memory::MemoryBenchArgs),
    /// Analyse documents in a running service, beside the extraction of their text
    Documents(documents::DocumentBenchArgs),
}

impl BenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        if !matches!(self.part, BenchSubcommand::Compare(_)) {
            warn_about_development_build();
        }
        match self.part {
            BenchSubcommand::All(part) => Box::pin(part.run(config)).await,
            BenchSubcommand::Compare(part) => part.run(),
            BenchSubcommand::Relay(part) => part.run(config).await,
            BenchSubcommand::Project(part) => Box::pin(part.project(config)).await,
            BenchSubcommand::Rebuild(part) => part.rebuild(config).await,
            BenchSubcommand::Latency(part) => part.run(config).await,
            BenchSubcommand::Replay(part) => part.run(config).await,
            BenchSubcommand::Api(part) => part.run(config).await,
            BenchSubcommand::Append(append) => append.run(config).await,
            BenchSubcommand::Idle(part) => part.run().await,
            BenchSubcommand::Growth(part) => part.run(config).await,
            BenchSubcommand::Memory(part) => part.run(config).await,
            BenchSubcommand::Documents(part) => part.run(config).await,
        }
    }
}

fn warn_about_development_build() {
    if !BuildDescription::is_installed_profile(BuildDescription::PROFILE) {
        output::print_message(&format!(
            "WARNING: this program is built with the profile `{}`, which optimises little. These are not the figures of the \
             program that people install: build with --release.",
            BuildDescription::PROFILE
        ));
    }
}
