//! `medhub bench api`: throughput and latency of a running service.

use std::process::ExitCode;

use bench::api::{self, ApiBenchOptions, REQUEST_KINDS};
use clap::{Args, builder::PossibleValuesParser};

use crate::{cli::output, config::MedhubConfig, engine_clients};

/// Number of changes that each subscriber receives.
const CHANGE_COUNT: usize = 20;

/// Sends a fixed number of requests of each kind to a running service, and prints one JSON line for each kind. The
/// service needs opportunities, the development login, and disabled rate limits (`MEDHUB__LIMITS__ENABLED=false`).
/// Creates a tenant and changes titles of opportunities: run it against a stack that exists to be measured.
#[derive(Debug, Args)]
pub(super) struct ApiBenchArgs {
    /// Base URL of the service [default: the address in http.listen]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// The operator's token of the service
    #[arg(long, value_name = "TOKEN", env = "MEDHUB__ADMIN__TOKEN", hide_env_values = true)]
    operator: String,
    /// Requests of the cheapest kind; each other kind sends a fraction of it
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    requests: u64,
    /// Requests per second of the kind `views`
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Number of subscribers
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    subscribers: usize,
    /// Add generated opportunities to the read model of lists until it has this many. They are not in the log: remove them
    /// with `medhub rebuild lists`
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    opportunities: u64,
    /// Measure only this kind; may be repeated
    #[arg(long = "kind", value_name = "NAME", value_parser = PossibleValuesParser::new(REQUEST_KINDS))]
    only: Vec<String>,
}

impl ApiBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { http, operator, requests, rate, subscribers, opportunities, only } = self;
        let http = http.unwrap_or_else(|| format!("http://{}", config.http.listen));
        let options = ApiBenchOptions {
            base_url: http,
            operator_token: operator,
            requests,
            rate,
            subscribers,
            changes: CHANGE_COUNT,
            opportunities,
            kinds: only,
        };
        let app = engine_clients::open_app_context_without_model(config)?;
        api::run(&app, &options, |line| {
            output::print_result(&serde_json::to_string(line)?)?;
            Ok(())
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
