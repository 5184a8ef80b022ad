//! `medhub dead-letters drop`.

use std::process::ExitCode;

use api::app_context;
use clap::{Args, builder::PossibleValuesParser};
use projections::runtime::ReadModelGeneration;

use super::find_parked_stream;
use crate::{
    cli::{output, whoami},
    config::MedhubConfig,
    engine_clients,
};

/// Drops the first event of a parked stream in one projection. Who dropped it and why stays on record; `redrive` then
/// applies the events behind it. The event remains in the log.
#[derive(Debug, Args)]
pub(super) struct DropDeadLetterArgs {
    /// Name of the projection
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(app_context::consumer_names()))]
    projection: String,
    /// Id of the aggregate
    #[arg(value_name = "ID")]
    aggregate: String,
    /// Why the event is dropped; stays on record
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Generation [default: the active one]
    #[arg(long, value_name = "GENERATION")]
    generation: Option<ReadModelGeneration>,
}

impl DropDeadLetterArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let parked = find_parked_stream(&app, &self.projection, &self.aggregate, self.generation).await?;
        let projection = app.find_projection(&self.projection)?;
        let position =
            app.runtime.drop_first_letter(projection.as_ref(), &parked, &whoami::user_at_host(), &self.reason).await?;
        output::print_result(&format!("dropped the event at position {position}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
