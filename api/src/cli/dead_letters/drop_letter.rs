//! `medhub dead-letters drop`.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use projections::{read_models, runtime::Generation};

use super::find_parked_sequence;
use crate::{
    app_context::AppContext,
    cli::{output, whoami},
    config::MedhubConfig,
};

/// Gives up the first event of a stream in one projection. Who did so and why stays on record; `redrive` then goes on
/// with the events behind it. The log keeps the event.
#[derive(Debug, Args)]
pub(super) struct DropDeadLetterArgs {
    /// The projection
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(read_models::PROJECTION_NAMES))]
    projection: String,
    /// The aggregate
    #[arg(value_name = "ID")]
    aggregate: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// This generation instead of the live one
    #[arg(long, value_name = "GENERATION")]
    generation: Option<Generation>,
}

impl DropDeadLetterArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let stores = AppContext::open_without_model(config)?;
        let parked = find_parked_sequence(&stores, &self.projection, &self.aggregate, self.generation).await?;
        let projection = stores.read_models.find_projection(&self.projection)?;
        let position = stores
            .runtime
            .drop_first_letter(projection.as_ref(), &parked, &whoami::user_at_host(), &self.reason)
            .await?;
        output::print_result(&format!("the event at position {position} is given up"))?;
        Ok(ExitCode::SUCCESS)
    }
}
