//! `medhub dead-letters drop`.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use projections::{catalog, runtime::Generation};

use super::find;
use crate::{
    cli::{output, who},
    config::Config,
    store::Stores,
};

/// Gives up the first event of a stream in one projection. Who did so and why stays on record; `redrive` then goes on
/// with the events behind it. The log keeps the event.
#[derive(Debug, Args)]
pub(super) struct DropLetter {
    /// The projection
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(catalog::NAMES))]
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

impl DropLetter {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        let parked = find(&stores, &self.projection, &self.aggregate, self.generation).await?;
        let projection = stores.live.named(&self.projection)?;
        let position =
            stores.runtime.drop_first_letter(projection.as_ref(), &parked, &who::am_i(), &self.reason).await?;
        output::result(&format!("the event at position {position} is given up"))?;
        Ok(ExitCode::SUCCESS)
    }
}
