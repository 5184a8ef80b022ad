//! `medhub rebuild`: builds the next generation of read models from the log, beside the active one.

mod rebuild_display;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use api::app_context::AppContext;
use clap::{Args, builder::PossibleValuesParser};
use projections::runtime::{ControlError, GenerationMap, RebuildError, RebuildOptions, RebuildProgress, RebuildReport};
use serde_json::json;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;

use super::{output, projection_names, whoami};
use crate::{config::MedhubConfig, engine_clients};

/// How long to wait for the lease of another process: a little longer than the lease of a dead process lasts.
const BUSY_TIMEOUT: Duration = Duration::from_secs(12);
const BUSY_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 130;

/// Builds the next generation of read models from the log, beside the active ones, verifies them, and switches to all
/// of them at once. Safe to interrupt: the same command resumes. The previous generation is kept up to date for `medhub
/// rollback`; an older one is dropped.
#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// Read models to rebuild together; `all` selects all of them
    #[arg(required_unless_present = "abandon", value_name = "NAME", value_parser = PossibleValuesParser::new(projection_names::possible_names()))]
    projections: Vec<String>,
    /// Abandon an interrupted rebuild and remove its generations
    #[arg(long, conflicts_with = "projections")]
    abandon: bool,
    /// Switch even if the new generation parks events that the active one has applied
    #[arg(long)]
    allow_parked: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

impl RebuildArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context(config).await?;
        if self.abandon {
            return abandon_rebuild(&app).await;
        }
        let projections = projection_names::select_projections(&app, &self.projections)?;
        let options = RebuildOptions {
            started_by: whoami::user_at_host(),
            allow_parked: self.allow_parked,
            ..RebuildOptions::default()
        };
        let (progress, stop) = (Sender::new(RebuildProgress::default()), CancellationToken::new());
        let display = rebuild_display::spawn_display(progress.subscribe());
        let work = retry_while_busy(|| app.runtime.rebuild(&projections, &options, &progress, &stop));
        tokio::pin!(work);
        let outcome = tokio::select! {
            outcome = &mut work => outcome,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("waiting for Ctrl-C")?;
                output::print_message("interrupted, completing the work in progress");
                stop.cancel();
                work.await
            }
        };
        display.finish(&progress).await;
        match outcome {
            Ok(report) => {
                output::print_result(&if self.json { format_json(&report) } else { format_text(&report) })?;
                Ok(ExitCode::SUCCESS)
            }
            Err(interrupted @ RebuildError::Interrupted) => {
                output::print_message(&interrupted.to_string());
                Ok(ExitCode::from(INTERRUPTED_EXIT_CODE))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Retries while another process holds the lease: the lease of a killed process expires.
async fn retry_while_busy<T, F>(work: impl Fn() -> F) -> Result<T, RebuildError>
where
    F: Future<Output = Result<T, RebuildError>>,
{
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match work().await {
            Err(RebuildError::Control(ControlError::LeaseTaken)) if Instant::now() < deadline => {
                tokio::time::sleep(BUSY_RETRY_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn abandon_rebuild(app: &AppContext) -> anyhow::Result<ExitCode> {
    let all = app.read_models.current().all_projections();
    match retry_while_busy(|| app.runtime.abandon_rebuild(&all)).await? {
        Some(id) => output::print_message(&format!("abandoned rebuild {id} and removed its generations")),
        None => output::print_message("there is no interrupted rebuild"),
    }
    Ok(ExitCode::SUCCESS)
}

fn format_text(report: &RebuildReport) -> String {
    let mut lines = vec![];
    for verification in &report.verified {
        let name = &verification.projection;
        let before = report.retained.get(name).map_or("none".to_owned(), ToString::to_string);
        lines.push(format!(
            "{name}: switched to {} from {before}; {} rows verified against {} events",
            verification.generation, verification.rows, verification.events
        ));
        if verification.parked > 0 {
            lines.push(format!("{name}: {} events are parked as dead letters", verification.parked));
        }
    }
    lines.extend(report.dropped.iter().map(|(name, generation)| format!("{name}: dropped {generation}")));
    if !report.retained.is_empty() {
        lines.push("`medhub rollback` switches back".to_owned());
    }
    lines.join("\n")
}

fn format_json(report: &RebuildReport) -> String {
    let numbers = |generations: &GenerationMap| -> serde_json::Map<_, _> {
        generations.iter().map(|(name, generation)| (name.clone(), json!(generation.number()))).collect()
    };
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|(projection, generation)| json!({ "projection": projection, "generation": generation.number() }))
        .collect();
    let verified: Vec<_> = report
        .verified
        .iter()
        .map(|found| json!({ "projection": found.projection, "rows": found.rows, "events": found.events }))
        .collect();
    json!({
        "id": report.id,
        "continued": report.continued,
        "live": numbers(&report.active),
        "retained": numbers(&report.retained),
        "dropped": dropped,
        "verified": verified,
        "events": report.events,
    })
    .to_string()
}
