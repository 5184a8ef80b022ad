//! `medhub replay`: prints a part of the log.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use eventstore::reader::{self, Replay, ReplayOptions};

use super::{
    event_lines::EventLines,
    output,
    progress::{Progress, Unit},
    selection::{Selection, open_log},
};
use crate::config::Config;

/// Exit code of a program that was interrupted.
const INTERRUPTED: u8 = 128 + 2;

/// Prints events of the log in the order of their positions, one JSON object a line, up to what is recorded when it
/// starts. Needs Postgres only. To go on where an earlier replay ended, add 1 to its last position.
#[derive(Debug, Args)]
pub(super) struct ReplayLog {
    /// The first position, itself included; 1 is the start of the log
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    from: u64,
    /// The last position, itself included
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    #[command(flatten)]
    selection: Selection,
    /// At most so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl ReplayLog {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let fence = {
            let mut connection = pool.acquire().await.context("connecting to Postgres")?;
            reader::completed_prefix(&mut connection).await?
        };
        let after = self.from.saturating_sub(1);
        let options = ReplayOptions {
            filter: self.selection.filter(),
            after,
            to: self.to,
            limit: self.limit,
            ..ReplayOptions::default()
        };
        let positions = self.to.unwrap_or(fence).min(fence).saturating_sub(after);
        let mut progress = Progress::beside_results(Unit::Positions, positions);
        let replay = Replay::start(&pool, options).await?;
        let outcome = tokio::select! {
            outcome = print(replay, after, &mut progress) => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        };
        progress.finish();
        pool.close().await;
        let Some(outcome) = outcome else {
            output::say("interrupted");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        outcome.map(|()| ExitCode::SUCCESS)
    }
}

async fn print(mut replay: Replay, after: u64, progress: &mut Progress) -> anyhow::Result<()> {
    let mut lines = EventLines::new();
    let mut printed = 0;
    while let Some(batch) = replay.next_batch().await? {
        lines.print(&batch.events).await.context("printing events")?;
        printed += batch.events.len();
        progress.at(batch.watermark.saturating_sub(after), || format!("{printed} events"));
    }
    Ok(())
}
