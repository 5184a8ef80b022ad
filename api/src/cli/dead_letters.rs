//! `medhub dead-letters`: events that a projection could not take in, and what to do about them.

mod drop_letter;
mod inspect;
mod list;
mod redrive;

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::{
    catalog,
    runtime::{Generation, LetterQuery, ParkedSequence},
};

use crate::{config::Config, store::Stores};

/// Events that a projection could not take in. Each holds back the later events of its own aggregate, in this
/// projection only; everything else goes on.
#[derive(Debug, Args)]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the streams that wait, by what is wrong with them
    List(list::List),
    /// Show every event of a stream that waits
    Inspect(inspect::Inspect),
    /// Try streams again, in order; what is fixed meanwhile goes in
    Redrive(redrive::Redrive),
    /// Give up the first event of a stream; who did and why stays on record
    Drop(drop_letter::DropLetter),
}

/// Which streams are meant.
#[derive(Debug, Args)]
struct Choice {
    /// Of this projection
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(catalog::NAMES))]
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

impl Choice {
    fn query(self) -> LetterQuery {
        LetterQuery {
            projection: self.projection,
            generation: self.generation,
            fingerprint: self.fingerprint,
            aggregate_id: self.aggregate,
        }
    }
}

impl DeadLetters {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::List(list) => list.run(config).await,
            Action::Inspect(inspect) => inspect.run(config).await,
            Action::Redrive(redrive) => redrive.run(config).await,
            Action::Drop(drop) => drop.run(config).await,
        }
    }
}

/// The parked stream of one aggregate in one projection; of its live generation where none is named.
async fn find(
    stores: &Stores,
    projection: &str,
    aggregate_id: &str,
    generation: Option<Generation>,
) -> anyhow::Result<ParkedSequence> {
    let generation = match generation {
        Some(generation) => generation,
        None => stores.runtime.control().pointer().await?.of(projection),
    };
    let query = LetterQuery {
        projection: Some(projection.to_owned()),
        generation: Some(generation),
        aggregate_id: Some(aggregate_id.to_owned()),
        fingerprint: None,
    };
    let mut found = stores.runtime.control().parked(&query).await?;
    found.pop().ok_or_else(|| {
        anyhow::anyhow!(
            "{generation} of {projection} has no dead letters of {aggregate_id}; `list` shows all there are"
        )
    })
}
