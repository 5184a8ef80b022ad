//! `medhub dead-letters inspect`.

use std::process::ExitCode;

use api::app_context;
use clap::{Args, builder::PossibleValuesParser};
use projections::runtime::{DeadLetter, ReadModelGeneration};
use serde_json::{Value, json};

use super::find_parked_stream;
use crate::{cli::output, config::MedhubConfig, engine_clients};

/// Bytes printed of a value that cannot be decoded.
const MAX_SHOWN_BYTES: usize = 200;

/// Prints every event of a parked stream as JSON lines, with the reason, the headers and the payload.
#[derive(Debug, Args)]
pub(super) struct InspectDeadLetterArgs {
    /// Name of the projection
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(app_context::consumer_names()))]
    projection: String,
    /// Id of the aggregate
    #[arg(value_name = "ID")]
    aggregate: String,
    /// Generation [default: the active one]
    #[arg(long, value_name = "GENERATION")]
    generation: Option<ReadModelGeneration>,
}

impl InspectDeadLetterArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let parked = find_parked_stream(&app, &self.projection, &self.aggregate, self.generation).await?;
        for letter in app.runtime.control().load_dead_letters(&parked).await? {
            let payload = app.runtime.read_payload(&letter).await;
            output::print_result(&format_json(&letter, payload))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn format_json(letter: &DeadLetter, payload: Result<String, String>) -> String {
    let payload = match payload {
        Ok(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Err(reason) => json!({ "unreadable": reason, "bytes": escape_prefix(&letter.value) }),
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

/// Returns the first bytes of a value, non-printable ones escaped.
fn escape_prefix(value: &[u8]) -> String {
    value.get(..MAX_SHOWN_BYTES).unwrap_or(value).escape_ascii().to_string()
}
