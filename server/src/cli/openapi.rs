//! `medhub openapi`: prints the OpenAPI description of the REST API, which is committed as `api/openapi.json`.

use std::process::ExitCode;

use clap::Args;

use super::output;

/// Prints the `OpenAPI` description of the REST API.
#[derive(Debug, Args)]
pub(super) struct OpenApiArgs {}

impl OpenApiArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        output::print_result(&serde_json::to_string_pretty(&api::rest::openapi()?)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
