//! `medhub tail`: prints the end of the log and follows it.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use eventstore::log::{self, FollowOptions, LogReplay, ReplayOptions};

use super::{
    event_line_printer::EventLinePrinter,
    event_selection::{EventSelection, open_log},
};
use crate::config::MedhubConfig;

/// Prints the last events of the log, one JSON object per line, and then each event as it is recorded, until Ctrl-C.
/// Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Number of last events to print
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: u32,
    /// Exit after the last events instead of following the log
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    selection: EventSelection,
}

impl TailArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        tokio::select! {
            outcome = self.print_events(config) => outcome.map(|()| ExitCode::SUCCESS),
            // Ctrl-C is the normal end of following.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        }
    }

    async fn print_events(self, config: &MedhubConfig) -> anyhow::Result<()> {
        let pool = open_log(config).await?;
        let filter = self.selection.into_filter();
        let after = {
            let mut connection = pool.acquire().await.context("connecting to Postgres")?;
            log::position_before_last(&mut connection, &filter, self.lines).await?
        };
        let limit = self.no_follow.then_some(u64::from(self.lines));
        let follow = (!self.no_follow).then(FollowOptions::default);
        let mut replay =
            LogReplay::start(&pool, ReplayOptions { filter, after, limit, follow, ..ReplayOptions::default() }).await?;
        pool.close().await;
        let mut lines = EventLinePrinter::new();
        while let Some(batch) = replay.next_batch().await? {
            lines.print_events(&batch.events).await.context("printing events")?;
        }
        Ok(())
    }
}
