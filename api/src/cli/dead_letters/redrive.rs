//! `medhub dead-letters redrive`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use projections::runtime::{ParkedStreamQuery, RedriveReport, RedrivenStream};

use super::DeadLetterSelection;
use crate::{app_context::AppContext, cli::output, config::MedhubConfig};

/// Tries streams again, each in order up to the first event that still makes trouble. Events are read anew, so that a
/// newer release with a fix takes them in. Exit code 1 if something still waits.
#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    choice: DeadLetterSelection,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only say what would happen: whether each event can be read and turned into changes
    #[arg(long)]
    dry_run: bool,
}

impl RedriveArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let query = self.choice.into_query();
        if query == ParkedStreamQuery::default() && !self.all {
            bail!("name a projection, a generation, a fingerprint or an aggregate, or take `--all`");
        }
        let stores = AppContext::open_with_model(config).await?;
        let mut report = RedriveReport::default();
        for parked in stores.runtime.control().find_parked_streams(&query).await? {
            let projection = stores.read_models.find_projection(&parked.projection)?;
            let outcome = if self.dry_run {
                stores.runtime.preview_redrive(projection.as_ref(), &parked).await?
            } else {
                stores.runtime.redrive(projection.as_ref(), &parked).await?
            };
            output::print_result(&format_outcome(&outcome, self.dry_run))?;
            report.streams.push(outcome);
        }
        if report.streams.is_empty() {
            output::print_message("no such dead letters");
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn format_outcome(outcome: &RedrivenStream, dry_run: bool) -> String {
    let RedrivenStream { parked, applied, remaining: left, blocked_by: obstacle } = outcome;
    let name = format!("{} {} {}", parked.projection, parked.generation, parked.stream.aggregate_id);
    let done = if dry_run { "would be tried" } else { "are in" };
    match obstacle {
        None => format!("{name}: all {applied} events {done}"),
        Some((position, reason)) => {
            format!("{name}: {applied} events {done}, {left} wait behind position {position}: {reason}")
        }
    }
}
