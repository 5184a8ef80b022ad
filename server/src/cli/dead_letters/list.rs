//! `medhub dead-letters list`.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use projections::runtime::ParkedStream;
use serde_json::json;

use super::DeadLetterSelection;
use crate::{cli::output, config::MedhubConfig, engine_clients};

/// Lists parked streams, grouped by cause.
#[derive(Debug, Args)]
pub(super) struct ListDeadLettersArgs {
    #[command(flatten)]
    selection: DeadLetterSelection,
    /// Print one JSON object per stream
    #[arg(long)]
    json: bool,
}

impl ListDeadLettersArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let parked = app.runtime.control().find_parked_streams(&self.selection.into_query()).await?;
        if parked.is_empty() && !self.json {
            output::print_message("no dead letters");
            return Ok(ExitCode::SUCCESS);
        }
        let text = if self.json {
            parked.iter().map(format_json).collect::<Vec<_>>().join("\n")
        } else {
            format_text(&parked)
        };
        if !text.is_empty() {
            output::print_result(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn format_text(parked: &[ParkedStream]) -> String {
    let mut causes = BTreeMap::<(&str, &str), Vec<&ParkedStream>>::new();
    for stream in parked {
        causes.entry((&stream.fingerprint, &stream.projection)).or_default().push(stream);
    }
    let mut lines = vec![];
    for ((fingerprint, projection), streams) in causes {
        let letters: u64 = streams.iter().map(|stream| stream.letters).sum();
        lines.push(format!("{fingerprint}  {projection}: {} streams, {letters} events", streams.len()));
        lines.extend(streams.first().map(|stream| format!("  e.g. {}", stream.reason)));
        for stream in streams {
            lines.push(format!(
                "  {} {} {} ({} events since {}, redriven {} times)",
                stream.generation,
                stream.stream.aggregate_type,
                stream.stream.aggregate_id,
                stream.letters,
                stream.parked_at.format("%Y-%m-%dT%H:%M:%SZ"),
                stream.attempts
            ));
        }
    }
    lines.join("\n")
}

fn format_json(parked: &ParkedStream) -> String {
    json!({
        "projection": parked.projection,
        "generation": parked.generation.number(),
        "aggregate_type": parked.stream.aggregate_type,
        "aggregate_id": parked.stream.aggregate_id,
        "fingerprint": parked.fingerprint,
        "reason": parked.reason,
        "parked_at": parked.parked_at,
        "letters": parked.letters,
        "attempts": parked.attempts,
    })
    .to_string()
}
