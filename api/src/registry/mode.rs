//! `/mode`: this registry takes new versions and gives out their ids, for every subject; it knows no other mode.

use axum::{extract::Path, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Refusal,
    answer::Answer,
    proposal::Body,
    query::{OfSubject, Options},
};

const MODE: &str = "READWRITE";

/// The modes that clients know.
const KNOWN: [&str; 5] = [MODE, "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"];

/// A wish for a mode.
#[derive(Deserialize)]
pub(super) struct ModeRequest {
    mode: Option<String>,
}

impl ModeRequest {
    /// The mode that there is, if it is that.
    fn met(&self) -> Result<Answer<Value>, Refusal> {
        let wanted = self.mode.as_deref().unwrap_or_default();
        if wanted.eq_ignore_ascii_case(MODE) {
            return Ok(told());
        }
        if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(wanted)) {
            let message = format!("{} is not supported: this registry is always in mode {MODE}", wanted.to_uppercase());
            return Err(Refusal::unprocessable(42205, message));
        }
        let message = format!("Invalid mode. Valid values are {}", KNOWN.join(", "));
        Err(Refusal::unprocessable(42204, message))
    }
}

fn told() -> Answer<Value> {
    Answer(json!({ "mode": MODE }))
}

pub(super) async fn global() -> Answer<Value> {
    told()
}

pub(super) async fn set_global(Body(wanted): Body<ModeRequest>) -> Result<Answer<Value>, Refusal> {
    wanted.met()
}

pub(super) async fn of_subject(OfSubject(subject): OfSubject, options: Options) -> Result<Answer<Value>, Refusal> {
    if options.default_to_global {
        return Ok(told());
    }
    Err(not_configured(subject.as_str()))
}

pub(super) async fn set(_: OfSubject, Body(wanted): Body<ModeRequest>) -> Result<Answer<Value>, Refusal> {
    wanted.met()
}

pub(super) async fn clear(Path(subject): Path<String>) -> Refusal {
    not_configured(&subject)
}

fn not_configured(subject: &str) -> Refusal {
    let shown: String = subject.chars().take(64).collect();
    let message = format!("Subject '{}' does not have subject-level mode configured", shown.escape_debug());
    Refusal::new(StatusCode::NOT_FOUND, 40409, message)
}
