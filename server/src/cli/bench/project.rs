//! `medhub bench project` and `medhub bench rebuild`: events into read models, beside a plain client.

use std::process::ExitCode;

use bench::{
    MEASURED_PROJECTIONS,
    project::{self, ProjectionBenchOptions},
};
use clap::{Args, builder::PossibleValuesParser};

use crate::{cli::output, config::MedhubConfig};

/// Applies generated events to separate read models, writes the same rows with the storages' plain clients, and prints
/// one JSON line for each read model. Uses separate databases, collections, keys and topics, and removes them.
#[derive(Debug, Args)]
pub(super) struct ProjectionBenchArgs {
    /// Number of events
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    events: u64,
    /// Measure only this read model; may be repeated
    #[arg(long = "projection", value_name = "NAME", value_parser = PossibleValuesParser::new(MEASURED_PROJECTIONS))]
    projections: Vec<String>,
}

impl ProjectionBenchArgs {
    pub(super) async fn project(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, projections } = self;
        for report in project::bench_projection(&config.engines, ProjectionBenchOptions { events, projections }).await?
        {
            output::print_result(&serde_json::to_string(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn rebuild(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, projections } = self;
        for report in project::bench_rebuild(&config.engines, ProjectionBenchOptions { events, projections }).await? {
            output::print_result(&serde_json::to_string(&report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
