//! `medhub dead-letters list`.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use projections::runtime::ParkedSequence;
use serde_json::json;

use super::Choice;
use crate::{cli::output, config::Config, store::Stores};

/// Lists the streams that wait, by what is wrong with them.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    choice: Choice,
    /// Print one JSON object for each stream
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        let parked = stores.runtime.control().parked(&self.choice.query()).await?;
        if parked.is_empty() && !self.json {
            output::say("no dead letters");
            return Ok(ExitCode::SUCCESS);
        }
        let text = if self.json { parked.iter().map(as_json).collect::<Vec<_>>().join("\n") } else { as_text(&parked) };
        if !text.is_empty() {
            output::result(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_text(parked: &[ParkedSequence]) -> String {
    let mut causes = BTreeMap::<(&str, &str), Vec<&ParkedSequence>>::new();
    for sequence in parked {
        causes.entry((&sequence.fingerprint, &sequence.projection)).or_default().push(sequence);
    }
    let mut lines = vec![];
    for ((fingerprint, projection), streams) in causes {
        let letters: u64 = streams.iter().map(|stream| stream.letters).sum();
        lines.push(format!("{fingerprint}  {projection}: {} streams, {letters} events", streams.len()));
        lines.extend(streams.first().map(|stream| format!("  e.g. {}", stream.reason)));
        for stream in streams {
            lines.push(format!(
                "  {} {} {} ({} events since {}, re-driven {} times)",
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

fn as_json(parked: &ParkedSequence) -> String {
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
