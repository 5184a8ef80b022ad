//! `medhub bench api`: what a caller gets from a running service.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};

use crate::{
    bench::api::{self, ApiBenchOptions, REQUEST_KINDS},
    cli::output,
    config::MedhubConfig,
};

/// Asks a running service a fixed number of times for each kind of thing, and prints one JSON line for each kind. The
/// service needs opportunities, the development login, and limits that are off (`MEDHUB__LIMITS__ENABLED=false`). Makes a
/// company of its own and changes titles of opportunities: for stacks that are there to be measured.
#[derive(Debug, Args)]
pub(super) struct ApiBenchArgs {
    /// The service; by default where this configuration listens
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// What an operator of the service shows
    #[arg(long, value_name = "TOKEN", env = "MEDHUB__ADMIN__TOKEN", hide_env_values = true)]
    operator: String,
    /// Requests of the cheapest kind; others are asked for a part of it
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    requests: u64,
    /// Requests a second for views
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How many subscribers
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    subscribers: usize,
    /// Only this kind; may be given again
    #[arg(long = "kind", value_name = "NAME", value_parser = PossibleValuesParser::new(REQUEST_KINDS))]
    only: Vec<String>,
}

impl ApiBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { http, operator, requests, rate, subscribers, only } = self;
        let http = http.unwrap_or_else(|| format!("http://{}", config.http.listen));
        let work =
            ApiBenchOptions { base_url: http, operator_token: operator, requests, rate, subscribers, kinds: only };
        api::run(config, &work, |line| {
            output::print_result(&serde_json::to_string(line)?)?;
            Ok(())
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
