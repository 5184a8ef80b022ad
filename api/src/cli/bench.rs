//! `medhub bench`: measures a part of the system beside its raw limit.

mod api;
mod append;
mod latency;
mod project;
mod relay;
mod replay;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Config;

/// Measures a part of the system beside the raw limit of this machine, and prints one JSON line. Writes to a database
/// and to topics of its own, and removes them.
#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Carry the log to Kafka, beside a plain producer
    Relay(relay::BenchRelay),
    /// Take events from Kafka into the read models, beside plain clients
    Project(project::BenchProject),
    /// Rebuild the read models from the log, beside plain clients
    Rebuild(project::BenchProject),
    /// Time the way from a commit until each store shows it
    Latency(latency::BenchLatency),
    /// Read the log, beside a plain COPY of it
    Replay(replay::BenchReplay),
    /// What a caller gets from a running service
    Api(api::BenchApi),
    /// Appending: single commands and batches, beside pgbench
    Append(append::Append),
}

impl Bench {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self.part {
            Part::Relay(part) => part.run(config).await,
            Part::Project(part) => part.project(config).await,
            Part::Rebuild(part) => part.rebuild(config).await,
            Part::Latency(part) => part.run(config).await,
            Part::Replay(part) => part.run(config).await,
            Part::Api(part) => part.run(config).await,
            Part::Append(append) => append.run(config).await,
        }
    }
}
