//! `medhub bench`: measures a part of the system beside its raw limit.

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
enum Part {}

impl Bench {
    #[expect(clippy::unused_async, reason = "its parts come with their subjects")]
    pub(super) async fn run(self, _config: &Config) -> anyhow::Result<ExitCode> {
        match self.part {}
    }
}
