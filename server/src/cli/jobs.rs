//! `medhub jobs`: shows scheduled jobs, and runs one at once.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use scheduled_jobs::{JobOutcome, JobRow, JobStore};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::output;
use crate::{config::MedhubConfig, engine_clients, jobs};

/// Shows scheduled jobs with their last and next runs, and runs one at once. A running service runs them on their
/// schedules, each in one process at a time.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    action: JobSubcommand,
}

#[derive(Debug, Subcommand)]
enum JobSubcommand {
    /// List all jobs with schedule, last run and next run
    List(ListArgs),
    /// Run a job now, in this process, unless it is running elsewhere. Exit code 1 if it fails
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print one JSON object per job
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Name of the job, as `list` prints it
    #[arg(value_name = "NAME")]
    name: String,
}

impl JobsArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let runner = jobs::create_job_runner(&app, config)?;
        match self.action {
            JobSubcommand::List(list) => {
                // A job that no service has run yet is listed, too.
                runner.register_jobs().await.context("recording the jobs of this release")?;
                list.run(&JobStore::new(app.pool.clone())).await
            }
            JobSubcommand::Run(run) => {
                let report = runner.run_now(&run.name, &CancellationToken::new()).await?;
                output::print_result(&format!("{}: {}", report.outcome.name(), report.message))?;
                Ok(if report.outcome == JobOutcome::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }
}

impl ListArgs {
    async fn run(self, store: &JobStore) -> anyhow::Result<ExitCode> {
        let rows = store.list_jobs().await.context("listing the jobs")?;
        let lines: Vec<_> = rows.iter().map(if self.json { format_json } else { format_text }).collect();
        output::print_result(&lines.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn format_text(row: &JobRow) -> String {
    let mut lines = vec![format!("{} ({})", row.name, row.schedule)];
    if let Some((since, host)) = &row.running {
        lines.push(format!("  running since {} on {host}", format_time(*since)));
    }
    lines.push(match &row.last_run {
        Some(last) => format!(
            "  last run {}, {:.1} s, {}: {}",
            format_time(last.started_at),
            run_duration_s(last.started_at, last.ended_at),
            last.outcome.name(),
            last.message
        ),
        None => "  no run yet".to_owned(),
    });
    lines.push(format!("  next run {}", format_time(row.next_run_at)));
    lines.join("\n")
}

fn format_json(row: &JobRow) -> String {
    json!({
        "name": row.name,
        "schedule": row.schedule,
        "nextRunAt": format_time(row.next_run_at),
        "running": row.running.as_ref().map(|(since, host)| json!({ "since": format_time(*since), "host": host })),
        "lastRun": row.last_run.as_ref().map(|last| json!({
            "startedAt": format_time(last.started_at),
            "endedAt": format_time(last.ended_at),
            "outcome": last.outcome.name(),
            "message": last.message,
        })),
    })
    .to_string()
}

fn run_duration_s(start: DateTime<Utc>, end: DateTime<Utc>) -> f64 {
    end.signed_duration_since(start).to_std().unwrap_or_default().as_secs_f64()
}
