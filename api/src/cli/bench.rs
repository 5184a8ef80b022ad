//! `medhub bench`: measures a part of the system beside its raw limit.

mod append;

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
    /// Appending: single commands and batches, beside pgbench
    Append(append::Append),
}

impl Bench {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self.part {
            Part::Append(append) => append.run(config).await,
        }
    }
}
