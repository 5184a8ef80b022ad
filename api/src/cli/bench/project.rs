//! `medhub bench project` and `medhub bench rebuild`: events into read models, beside a plain client.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};

use crate::{
    bench::{
        MEASURED,
        project::{self, Work},
    },
    cli::output,
    config::Config,
};

/// Takes made-up events into read models of its own, writes the same rows by the stores' plain clients, and prints one
/// JSON line for each read model. Works in databases, collections, keys and topics of its own, and removes them.
#[derive(Debug, Args)]
pub(super) struct BenchProject {
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    events: u64,
    /// Only this read model; may be given again
    #[arg(long = "projection", value_name = "NAME", value_parser = PossibleValuesParser::new(MEASURED))]
    projections: Vec<String>,
}

impl BenchProject {
    pub(super) async fn project(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self { events, projections } = self;
        for report in project::project(config, Work { events, projections }).await? {
            output::result(&serde_json::to_string(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn rebuild(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self { events, projections } = self;
        for report in project::rebuild(config, Work { events, projections }).await? {
            output::result(&serde_json::to_string(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
