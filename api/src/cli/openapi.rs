//! `medhub openapi`: the description of the REST API, as it is committed in `api/openapi.json`.

use std::process::ExitCode;

use clap::Args;

use super::output;

/// Prints the description of the REST API, as `OpenAPI` has it.
#[derive(Debug, Args)]
pub(super) struct OpenApiArgs {}

impl OpenApiArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        output::print_result(&serde_json::to_string_pretty(&crate::rest::openapi()?)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
