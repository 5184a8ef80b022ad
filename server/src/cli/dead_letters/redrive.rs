//! `medhub dead-letters redrive`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use projections::runtime::{ParkedStreamQuery, RedriveReport, RedrivenStream};

use super::DeadLetterSelection;
use crate::{cli::output, config::MedhubConfig, engine_clients};

/// Applies parked streams again, each in order up to the first event that still fails. Events are decoded again, so a
/// release with a fix can apply them. Exit code 1 if events are still parked.
#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    selection: DeadLetterSelection,
    /// Redrive all parked streams
    #[arg(long)]
    all: bool,
    /// Only check whether each event can be decoded and turned into changes; apply nothing
    #[arg(long)]
    dry_run: bool,
}

impl RedriveArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let query = self.selection.into_query();
        if query == ParkedStreamQuery::default() && !self.all {
            bail!("give --projection, --generation, --fingerprint or --aggregate, or --all");
        }
        let app = engine_clients::open_app_context(config).await?;
        let mut report = RedriveReport::default();
        for parked in app.runtime.control().find_parked_streams(&query).await? {
            let projection = app.find_projection(&parked.projection)?;
            let outcome = if self.dry_run {
                app.runtime.preview_redrive(projection.as_ref(), &parked).await?
            } else {
                app.runtime.redrive(projection.as_ref(), &parked).await?
            };
            output::print_result(&format_outcome(&outcome, self.dry_run))?;
            report.streams.push(outcome);
        }
        if report.streams.is_empty() {
            output::print_message("no dead letters match");
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn format_outcome(outcome: &RedrivenStream, dry_run: bool) -> String {
    let RedrivenStream { parked, applied, remaining, blocked_by } = outcome;
    let name = format!("{} {} {}", parked.projection, parked.generation, parked.stream.aggregate_id);
    let done = if dry_run { "would be applied" } else { "applied" };
    match blocked_by {
        None => format!("{name}: all {applied} events {done}"),
        Some((position, reason)) => {
            format!("{name}: {applied} events {done}, {remaining} parked from position {position} on: {reason}")
        }
    }
}
