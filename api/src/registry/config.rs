//! `/config`: what a new version may change.

use axum::{Extension, extract::State};
use eventstore::registry::{Level, SchemaStore};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Refusal,
    access::RegistryRight,
    answer::Answer,
    proposal::Body,
    query::{OfSubject, Options},
};

/// A wish for a level.
#[derive(Deserialize)]
pub(super) struct ModeRequest {
    compatibility: Option<String>,
}

impl ModeRequest {
    fn level(&self) -> Result<Level, Refusal> {
        Ok(self.compatibility.as_deref().unwrap_or_default().parse()?)
    }
}

fn told(level: Level) -> Answer<Value> {
    Answer(json!({ "compatibilityLevel": level.name() }))
}

/// The answer to a wish repeats it in its own words.
fn done(level: Level) -> Answer<Value> {
    Answer(json!({ "compatibility": level.name() }))
}

pub(super) async fn global(State(store): State<SchemaStore>) -> Result<Answer<Value>, Refusal> {
    Ok(told(store.global_level().await?))
}

pub(super) async fn set_global(
    State(store): State<SchemaStore>,
    Extension(right): Extension<RegistryRight>,
    Body(wanted): Body<ModeRequest>,
) -> Result<Answer<Value>, Refusal> {
    let level = wanted.level()?;
    if right.administers().is_err() && level == store.global_level().await? {
        return Ok(done(level));
    }
    right.administers()?;
    store.set_level(None, level).await?;
    Ok(done(level))
}

pub(super) async fn clear_global(State(store): State<SchemaStore>) -> Result<Answer<Value>, Refusal> {
    Ok(told(store.clear_level(None).await?))
}

pub(super) async fn of_subject(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    options: Options,
) -> Result<Answer<Value>, Refusal> {
    let level =
        if options.default_to_global { store.level(&subject).await? } else { store.own_level(&subject).await? };
    Ok(told(level))
}

pub(super) async fn set(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    Extension(right): Extension<RegistryRight>,
    Body(wanted): Body<ModeRequest>,
) -> Result<Answer<Value>, Refusal> {
    let level = wanted.level()?;
    if right.administers().is_err() && level == store.level(&subject).await? {
        return Ok(done(level));
    }
    right.administers()?;
    store.set_level(Some(&subject), level).await?;
    Ok(done(level))
}

pub(super) async fn clear(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
) -> Result<Answer<Value>, Refusal> {
    Ok(told(store.clear_level(Some(&subject)).await?))
}
