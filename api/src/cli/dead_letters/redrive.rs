//! `medhub dead-letters redrive`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use projections::runtime::{LetterQuery, RedriveReport, Redriven};

use super::Choice;
use crate::{cli::output, config::Config, store::Stores};

/// Tries streams again, each in order up to the first event that still makes trouble. Events are read anew, so that a
/// newer release with a fix takes them in. Exit code 1 if something still waits.
#[derive(Debug, Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    choice: Choice,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only say what would happen: whether each event can be read and turned into changes
    #[arg(long)]
    dry_run: bool,
}

impl Redrive {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let query = self.choice.query();
        if query == LetterQuery::default() && !self.all {
            bail!("name a projection, a generation, a fingerprint or an aggregate, or take `--all`");
        }
        let stores = Stores::open(config).await?;
        let mut report = RedriveReport::default();
        for parked in stores.runtime.control().parked(&query).await? {
            let projection = stores.live.named(&parked.projection)?;
            let outcome = if self.dry_run {
                stores.runtime.redrive_dry(projection.as_ref(), &parked).await?
            } else {
                stores.runtime.redrive(projection.as_ref(), &parked).await?
            };
            output::result(&as_text(&outcome, self.dry_run))?;
            report.streams.push(outcome);
        }
        if report.streams.is_empty() {
            output::say("no such dead letters");
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_text(outcome: &Redriven, dry_run: bool) -> String {
    let Redriven { parked, applied, left, obstacle } = outcome;
    let name = format!("{} {} {}", parked.projection, parked.generation, parked.stream.aggregate_id);
    let done = if dry_run { "would be tried" } else { "are in" };
    match obstacle {
        None => format!("{name}: all {applied} events {done}"),
        Some((position, reason)) => {
            format!("{name}: {applied} events {done}, {left} wait behind position {position}: {reason}")
        }
    }
}
