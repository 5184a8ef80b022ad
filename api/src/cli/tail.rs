//! `medhub tail`: prints the end of the log and what comes.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use eventstore::reader::{self, Follow, Replay, ReplayOptions};

use super::{
    event_lines::EventLines,
    selection::{Selection, open_log},
};
use crate::config::Config;

/// Prints the last events of the log, one JSON object a line, and then each event as it is recorded, until Ctrl-C.
/// Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// How many of the last events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: u32,
    /// End after the last events instead of waiting for more
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Tail {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        tokio::select! {
            outcome = self.print(config) => outcome.map(|()| ExitCode::SUCCESS),
            // This is how following is meant to end.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        }
    }

    async fn print(self, config: &Config) -> anyhow::Result<()> {
        let pool = open_log(config).await?;
        let filter = self.selection.filter();
        let after = {
            let mut connection = pool.acquire().await.context("connecting to Postgres")?;
            reader::before_last(&mut connection, &filter, self.lines).await?
        };
        let limit = self.no_follow.then_some(u64::from(self.lines));
        let follow = (!self.no_follow).then(Follow::default);
        let mut replay =
            Replay::start(&pool, ReplayOptions { filter, after, limit, follow, ..ReplayOptions::default() }).await?;
        pool.close().await;
        let mut lines = EventLines::new();
        while let Some(batch) = replay.next_batch().await? {
            lines.print(&batch.events).await.context("printing events")?;
        }
        Ok(())
    }
}
