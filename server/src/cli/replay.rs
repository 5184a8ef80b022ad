//! `medhub replay`: prints events of the log.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use eventstore::log::{self, LogReplay, ReplayOptions};

use super::{
    event_line_printer::EventLinePrinter,
    event_selection::{EventSelection, open_log},
    output,
    progress_display::{ProgressDisplay, ProgressUnit},
};
use crate::config::MedhubConfig;

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;

/// Prints events of the log in the order of their positions, one JSON object per line, up to the end of the log at the
/// start of the command. Needs Postgres only. To continue an earlier replay, pass its last position plus 1 as `--from`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// First position, inclusive; 1 is the start of the log
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    from: u64,
    /// Last position, inclusive
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    #[command(flatten)]
    selection: EventSelection,
    /// Maximum number of events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl ReplayArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let fence = {
            let mut connection = pool.acquire().await.context("connecting to Postgres")?;
            log::load_fence(&mut connection).await?
        };
        let after = self.from.saturating_sub(1);
        let options = ReplayOptions {
            filter: self.selection.into_filter(),
            after,
            to: self.to,
            limit: self.limit,
            ..ReplayOptions::default()
        };
        let positions = self.to.unwrap_or(fence).min(fence).saturating_sub(after);
        let mut progress = ProgressDisplay::start_beside_results(ProgressUnit::Positions, positions);
        let replay = LogReplay::start(&pool, options).await?;
        let outcome = tokio::select! {
            outcome = print_events(replay, after, &mut progress) => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        };
        progress.finish();
        pool.close().await;
        let Some(outcome) = outcome else {
            output::print_message("interrupted");
            return Ok(ExitCode::from(INTERRUPTED_EXIT_CODE));
        };
        outcome.map(|()| ExitCode::SUCCESS)
    }
}

async fn print_events(mut replay: LogReplay, after: u64, progress: &mut ProgressDisplay) -> anyhow::Result<()> {
    let mut lines = EventLinePrinter::new();
    let mut printed = 0;
    while let Some(batch) = replay.next_batch().await? {
        lines.print_events(&batch.events).await.context("printing events")?;
        printed += batch.events.len();
        progress.update(batch.watermark.saturating_sub(after), || format!("{printed} events"));
    }
    Ok(())
}
