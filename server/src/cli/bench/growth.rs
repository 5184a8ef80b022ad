//! `medhub bench growth`: costs with many events, beside those with a tenth of them.

use std::process::ExitCode;

use bench::{
    growth::{self, GROWTH_PARTS, GrowthBenchOptions},
    suite::ServiceProgram,
};
use clap::{Args, builder::PossibleValuesParser};

use super::all::{CURRENT_EXE, leading_arguments};
use crate::{cli::output, config::MedhubConfig};

/// Fills a log with generated events by COPY, measures what an event costs in each part and what requests to a service
/// cost that it starts, first with a tenth of the events and then with all of them, and prints one JSON line for each
/// cost. What grows has a `growth` above 1. Everything uses separate databases, topics and keys, and removes them.
/// Options of `medhub` itself, such as --config, come before `bench`.
#[derive(Debug, Args)]
pub(super) struct GrowthBenchArgs {
    /// Number of events; those beyond opportunities and their awards are views of pages
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10..=100_000_000))]
    events: u64,
    /// Number of opportunities
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..=10_000_000))]
    opportunities: u64,
    /// Measure only this part; may be repeated
    #[arg(long = "part", value_name = "NAME", value_parser = PossibleValuesParser::new(GROWTH_PARTS))]
    parts: Vec<String>,
    /// Rebuild only this read model; may be repeated
    #[arg(long = "projection", value_name = "NAME")]
    projections: Vec<String>,
    /// Number of requests; each kind sends a fraction of it
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    requests: u64,
}

impl GrowthBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { events, opportunities, parts, projections, requests } = self;
        let arguments = leading_arguments(std::env::args_os(), "growth");
        let service = ServiceProgram { path: CURRENT_EXE.into(), arguments };
        let options = GrowthBenchOptions { events, opportunities, parts, projections, requests, service };
        let measures = Box::pin(growth::run(&config.engines, &options, &|line| output::print_message(&line))).await?;
        for measure in measures {
            output::print_result(&serde_json::to_string(&measure)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
