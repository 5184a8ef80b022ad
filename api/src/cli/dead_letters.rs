//! `medhub dead-letters`: events that a projection could not take in, and what to do about them.

mod drop_letter;
mod inspect;
mod list;
mod redrive;

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::{
    read_models,
    runtime::{Generation, ParkedStream, ParkedStreamQuery},
};

use crate::{app_context::AppContext, config::MedhubConfig};

/// Events that a projection could not take in. Each holds back the later events of its own aggregate, in this
/// projection only; everything else goes on.
#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    action: DeadLetterSubcommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterSubcommand {
    /// List the streams that wait, by what is wrong with them
    List(list::ListDeadLettersArgs),
    /// Show every event of a stream that waits
    Inspect(inspect::InspectDeadLetterArgs),
    /// Try streams again, in order; what is fixed meanwhile goes in
    Redrive(redrive::RedriveArgs),
    /// Give up the first event of a stream; who did and why stays on record
    Drop(drop_letter::DropDeadLetterArgs),
}

/// Which streams are meant.
#[derive(Debug, Args)]
struct DeadLetterSelection {
    /// Of this projection
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(read_models::PROJECTION_NAMES))]
    projection: Option<String>,
    /// Of this generation
    #[arg(long, value_name = "GENERATION")]
    generation: Option<Generation>,
    /// With this cause, as `list` names it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Of this aggregate
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
}

impl DeadLetterSelection {
    fn into_query(self) -> ParkedStreamQuery {
        ParkedStreamQuery {
            projection: self.projection,
            generation: self.generation,
            fingerprint: self.fingerprint,
            aggregate_id: self.aggregate,
        }
    }
}

impl DeadLettersArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        match self.action {
            DeadLetterSubcommand::List(list) => list.run(config).await,
            DeadLetterSubcommand::Inspect(inspect) => inspect.run(config).await,
            DeadLetterSubcommand::Redrive(redrive) => redrive.run(config).await,
            DeadLetterSubcommand::Drop(drop) => drop.run(config).await,
        }
    }
}

/// The parked stream of one aggregate in one projection; of its live generation where none is named.
async fn find_parked_sequence(
    stores: &AppContext,
    projection: &str,
    aggregate_id: &str,
    generation: Option<Generation>,
) -> anyhow::Result<ParkedStream> {
    let generation = match generation {
        Some(generation) => generation,
        None => stores.runtime.control().load_pointer().await?.active_generation(projection),
    };
    let query = ParkedStreamQuery {
        projection: Some(projection.to_owned()),
        generation: Some(generation),
        aggregate_id: Some(aggregate_id.to_owned()),
        fingerprint: None,
    };
    let mut found = stores.runtime.control().find_parked_streams(&query).await?;
    found.pop().ok_or_else(|| {
        anyhow::anyhow!(
            "{generation} of {projection} has no dead letters of {aggregate_id}; `list` shows all there are"
        )
    })
}
