//! `medhub status`: shows the relay and the projections, counts what every engine holds, and compares the counts.

use std::{
    io::IsTerminal,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use api::{
    app_context::{AppContext, BackingService, PipelineStatus, ProjectionRow, RelayRow},
    readiness::{CountError, StoreCounts},
};
use clap::Args;
use serde_json::json;

use super::{output, source_report_lines::format_source_report};
use crate::{config::MedhubConfig, engine_clients, serve::notice_sync::NoticeSync};

/// Pause between two counts: short enough to time a propagation of seconds, long enough not to slow it down.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Characters of an error that are shown in the table.
const MAX_ERROR_CHARS: usize = 120;

/// Shows the state of the relay, of every generation of every projection, and of the sources of notices, and counts what
/// every engine holds. Exit code 0 only if all engines hold what the log holds.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Repeat the count until the engines agree, for at most this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Show only the relay and the projections, repeatedly until Ctrl-C [default pause: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with_all = ["json", "wait"], value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

impl StatusArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        if let Some(pause) = self.watch {
            return watch_pipeline(&app, Duration::from_secs(pause)).await;
        }
        app.read_models.refresh_pointer(app.runtime.control()).await?;
        let counted = count_until_agreed(&app, Duration::from_secs(self.wait)).await;
        let pipeline = app.pipeline_status().await?;
        let findings = app.collect_findings(&BackingService::ALL).await;
        let sources = NoticeSync::new(&config.sam_gov, &app.pool).report_sources().await?;
        let counted = counted.context("counting what every engine holds; all else is shown");
        if self.json {
            let mut all = match &counted {
                Ok(counts) => serde_json::to_value(counts)?,
                Err(error) => json!({ "agree": false, "error": format!("{error:#}") }),
            };
            (all["relay"], all["projections"]) = (json!(pipeline.relay), json!(pipeline.projections));
            all["findings"] = json!(findings);
            all["notice_sources"] = json!(sources);
            output::print_result(&all.to_string())?;
            return Ok(exit_code(counted?.agree));
        }
        output::print_result(&format_pipeline(&pipeline))?;
        for finding in &findings {
            output::print_result(&format!("{}: {}", finding.engine.name(), finding.text))?;
        }
        for source in &sources {
            output::print_result(&format_source_report(source))?;
        }
        // An engine that is unavailable must not hide the state of the others.
        let counts = counted?;
        output::print_result(&format!("\n{}", format_counts(&counts)))?;
        Ok(exit_code(counts.agree))
    }
}

fn exit_code(agree: bool) -> ExitCode {
    if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn watch_pipeline(app: &AppContext, pause: Duration) -> anyhow::Result<ExitCode> {
    // Clears the terminal and moves the cursor to its top.
    const CLEAR: &str = "\x1b[2J\x1b[H";
    let drawn = std::io::stdout().is_terminal();
    loop {
        let text = match app.pipeline_status().await {
            Ok(pipeline) => format_pipeline(&pipeline),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        output::print_result(&if drawn { format!("{CLEAR}{text}") } else { text })?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("waiting for Ctrl-C")?;
                return Ok(ExitCode::SUCCESS);
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn format_pipeline(pipeline: &PipelineStatus) -> String {
    let relay = &pipeline.relay;
    let mut lines = vec![
        format!(
            "{:<16}{:<12}{:>12}{:>10}{:>9}{:>8}  {}",
            "", "state", "position", "lag", "lag s", "parked", "last error"
        ),
        format_relay_row(relay),
    ];
    lines.extend(pipeline.projections.iter().map(format_projection_row));
    lines.push(format!("{:<16}{:<12}{:>12}", "log", "", relay.log_end));
    lines.join("\n")
}

fn format_relay_row(relay: &RelayRow) -> String {
    let state = match (relay.leads, relay.relays) {
        (true, _) => "leads",
        (false, 0) => "NO RELAY",
        (false, _) => "NO LEADER",
    };
    // Not truncated: the error of a relay that cannot publish says what to do.
    let error = relay.last_error.as_deref().unwrap_or_default();
    let line =
        format!("{:<16}{state:<12}{:>12}{:>10}{:>9}{:>8}  {error}", "relay", relay.position, relay.lag_events, "", "");
    line.trim_end().to_owned()
}

fn format_projection_row(row: &ProjectionRow) -> String {
    let name = format!("{} g{}{}", row.projection, row.generation, if row.is_active { " *" } else { "" });
    let lag = row.lag_records.map_or("?".to_owned(), |records| records.to_string());
    let error: String = row.last_error.iter().flat_map(|error| error.chars()).take(MAX_ERROR_CHARS).collect();
    let line =
        format!("{name:<16}{:<12}{:>12}{lag:>10}{:>9.1}{:>8}  {error}", row.state, row.position, row.lag_s, row.parked);
    line.trim_end().to_owned()
}

/// Counts until the engines agree or `timeout` has passed, and returns the last count.
async fn count_until_agreed(app: &AppContext, timeout: Duration) -> Result<StoreCounts, CountError> {
    let deadline = Instant::now() + timeout;
    loop {
        let counted = StoreCounts::load(app).await;
        let agree = counted.as_ref().is_ok_and(|counts| counts.agree);
        if agree || Instant::now() >= deadline {
            return counted;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn format_counts(counts: &StoreCounts) -> String {
    let mut lines = counts.rows().map(|(store, what, count)| format!("{store:<12}{what:<16}{count:>12}")).to_vec();
    lines.push(if counts.agree { "all stores agree" } else { "the stores do not agree (yet)" }.to_owned());
    lines.join("\n")
}
