//! The load of a run: imports of generated notices and simulated visits, until the log holds enough events.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ChaosPlan;
use crate::{
    TestStack,
    faults::{bounded_wait::wait_until, fault_report::print_progress},
};

/// Maximum number of notices in one import.
const MAX_IMPORT_ROWS: u64 = 5_000;

/// Maximum number of attempts for a command, which a fault may interrupt.
const MAX_ATTEMPTS: u32 = 20;
const RETRY_DELAY: Duration = Duration::from_secs(1);

const POSTGRES_RESTART_TIMEOUT: Duration = Duration::from_mins(1);

/// Adds events to the log.
pub(super) struct EventLoad<'a> {
    stack: &'a TestStack,
    seed: u64,
    target_events: u64,
}

impl<'a> EventLoad<'a> {
    pub(super) fn new(stack: &'a TestStack, plan: &ChaosPlan) -> Self {
        Self { stack, seed: plan.seed, target_events: plan.events }
    }

    /// Loads until the log holds the target number of events and `faults` is cancelled; returns the number that it
    /// holds.
    pub(super) async fn run(&mut self, faults: &CancellationToken) -> anyhow::Result<u64> {
        let mut events = 0;
        for round in 0_u64.. {
            if events >= self.target_events && faults.is_cancelled() {
                break;
            }
            // Once there are enough, small imports continue, so that every fault meets events in progress.
            let rows = (self.target_events.saturating_sub(events) / 4).clamp(50, MAX_IMPORT_ROWS);
            let seed = self.seed.wrapping_add(round) % 1_000_000;
            let file = self.generate_notices(rows, seed).await?;
            // A repeated import appends nothing twice, so an interrupted one is run again.
            self.run_until_success(&["import", file.to_str().context("naming a file")?]).await?;
            let visits = (rows / 12).max(5).to_string();
            self.run_until_success(&["simulate", "--visits", &visits, "--seed", &seed.to_string()]).await?;
            events = self.count_events().await?;
            print_progress(&format!("{events} of {} events", self.target_events));
        }
        Ok(events)
    }

    async fn generate_notices(&self, rows: u64, seed: u64) -> anyhow::Result<PathBuf> {
        let file = self.stack.data_folder().join(format!("notices-{seed}.csv"));
        let out = file.to_str().context("naming a file")?;
        let args = ["generate", "--rows", &rows.to_string(), "--seed", &seed.to_string(), "--out", out];
        let generated = self.stack.run_medhub(&args).await;
        anyhow::ensure!(generated.status.success(), "generating: {}", String::from_utf8_lossy(&generated.stderr));
        Ok(file)
    }

    async fn run_until_success(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut stderr = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let output = self.stack.run_medhub(args).await;
            stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            // An import with rejected rows is complete.
            if output.status.success() || stderr.contains("rejected") && !stderr.contains("error:") {
                return Ok(());
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        anyhow::bail!("{args:?} did not succeed: {stderr}")
    }

    async fn count_events(&self) -> anyhow::Result<u64> {
        // Postgres may be killed during this query.
        wait_until(POSTGRES_RESTART_TIMEOUT, async || {
            let mut connection =
                <sqlx::PgConnection as sqlx::Connection>::connect(self.stack.variable("DATABASE_URL")).await?;
            let count: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&mut connection).await?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}

/// Parses a command's output, one JSON value per line.
pub(super) fn parse_json_lines(stdout: &[u8]) -> anyhow::Result<Vec<Value>> {
    String::from_utf8_lossy(stdout).lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
