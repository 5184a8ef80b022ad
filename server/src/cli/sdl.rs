//! `medhub sdl`: prints the GraphQL schema, which is committed as `api/schema.graphql`.

use std::process::ExitCode;

use clap::Args;

use super::output;

/// Prints the GraphQL schema.
#[derive(Debug, Args)]
pub(super) struct SdlArgs {}

impl SdlArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        output::print_result(&api::graphql::sdl())?;
        Ok(ExitCode::SUCCESS)
    }
}
