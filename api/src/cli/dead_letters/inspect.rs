//! `medhub dead-letters inspect`.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use projections::{
    catalog,
    runtime::{DeadLetter, Generation},
};
use serde_json::{Value, json};

use super::find;
use crate::{cli::output, config::Config, store::Stores};

/// Bytes of an unreadable value that are shown.
const MOST_BYTES: usize = 200;

/// Shows every event of a stream that waits, as JSON lines: what is wrong, everything it travelled with, its payload.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The projection
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(catalog::NAMES))]
    projection: String,
    /// The aggregate
    #[arg(value_name = "ID")]
    aggregate: String,
    /// This generation instead of the live one
    #[arg(long, value_name = "GENERATION")]
    generation: Option<Generation>,
}

impl Inspect {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        let parked = find(&stores, &self.projection, &self.aggregate, self.generation).await?;
        for letter in stores.runtime.control().letters(&parked).await? {
            let payload = stores.runtime.payload(&letter).await;
            output::result(&as_json(&letter, payload))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(letter: &DeadLetter, payload: Result<String, String>) -> String {
    let payload = match payload {
        Ok(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Err(unreadable) => json!({ "unreadable": unreadable, "bytes": beginning(&letter.value) }),
    };
    json!({
        "position": letter.position,
        "sequence": letter.sequence,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "event_version": letter.event_version,
        "recorded_at": letter.recorded_at,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "headers": letter.headers,
        "payload": payload,
    })
    .to_string()
}

/// The beginning of a value, bytes that are no letters escaped.
fn beginning(value: &[u8]) -> String {
    value.get(..MOST_BYTES).unwrap_or(value).escape_ascii().to_string()
}
