//! `medhub dead-letters`: lists, inspects, redrives and drops events that a projection could not apply.

mod drop_letter;
mod inspect;
mod list;
mod redrive;

use std::process::ExitCode;

use api::app_context::{self, AppContext};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::runtime::{ParkedStream, ParkedStreamQuery, ReadModelGeneration};

use crate::config::MedhubConfig;

/// Lists, inspects, redrives or drops events that a projection could not apply. Each dead letter parks the later events
/// of its own aggregate, in this projection only; other aggregates are not affected.
#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    action: DeadLetterSubcommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterSubcommand {
    /// List parked streams, grouped by cause
    List(list::ListDeadLettersArgs),
    /// Print every event of a parked stream
    Inspect(inspect::InspectDeadLetterArgs),
    /// Apply parked streams again, in order
    Redrive(redrive::RedriveArgs),
    /// Drop the first event of a parked stream; who dropped it and why stays on record
    Drop(drop_letter::DropDeadLetterArgs),
}

/// Selects parked streams: those that match every option given.
#[derive(Debug, Args)]
struct DeadLetterSelection {
    /// Only streams of this projection
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(app_context::consumer_names()))]
    projection: Option<String>,
    /// Only streams of this generation
    #[arg(long, value_name = "GENERATION")]
    generation: Option<ReadModelGeneration>,
    /// Only streams with this fingerprint of the cause, as `list` prints it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Only the stream of this aggregate
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

/// Finds the parked stream of an aggregate in a projection; in its active generation where `generation` is `None`.
async fn find_parked_stream(
    app: &AppContext,
    projection: &str,
    aggregate_id: &str,
    generation: Option<ReadModelGeneration>,
) -> anyhow::Result<ParkedStream> {
    let generation = match generation {
        Some(generation) => generation,
        None => app.runtime.control().load_pointer().await?.active_generation(projection),
    };
    let query = ParkedStreamQuery {
        projection: Some(projection.to_owned()),
        generation: Some(generation),
        aggregate_id: Some(aggregate_id.to_owned()),
        fingerprint: None,
    };
    let mut found = app.runtime.control().find_parked_streams(&query).await?;
    found.pop().ok_or_else(|| {
        anyhow::anyhow!(
            "{generation} of {projection} has no dead letters of {aggregate_id}; `list` shows all dead letters"
        )
    })
}
