//! `/compatibility`: whether a schema could be registered, without registering it.

use axum::extract::State;
use eventstore::registry::{Objection, SchemaStore};
use serde::Serialize;

use super::{
    Refusal,
    answer::Answer,
    proposal::Proposal,
    query::{OfSubject, OfVersion, Options},
};

#[derive(Serialize)]
pub(super) struct Judgement {
    is_compatible: bool,
    /// Only where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

impl Judgement {
    fn of(objections: &[Objection], options: &Options) -> Answer<Self> {
        let messages = || objections.iter().map(ToString::to_string).collect();
        Answer(Self { is_compatible: objections.is_empty(), messages: options.verbose.then(messages) })
    }
}

/// Beside all versions that the level names.
pub(super) async fn with_all(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    options: Options,
    Proposal(schema): Proposal,
) -> Result<Answer<Judgement>, Refusal> {
    Ok(Judgement::of(&store.objections(&subject, &schema, None).await?, &options))
}

/// Beside one version.
pub(super) async fn with_one(
    State(store): State<SchemaStore>,
    OfVersion(subject, version): OfVersion,
    options: Options,
    Proposal(schema): Proposal,
) -> Result<Answer<Judgement>, Refusal> {
    Ok(Judgement::of(&store.objections(&subject, &schema, Some(version)).await?, &options))
}
