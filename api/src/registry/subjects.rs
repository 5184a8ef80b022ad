//! `/subjects`: registering, finding and deleting versions.

use axum::extract::State;
use eventstore::registry::{Recorded, SchemaStore};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Refusal,
    answer::{Answer, Text},
    proposal::Proposal,
    query::{OfSubject, OfVersion, Options},
};

/// A version of a subject. The type is not named, as Confluent's registry does not for Avro.
#[derive(Serialize)]
pub(super) struct Found {
    subject: String,
    version: i32,
    id: i32,
    schema: String,
}

impl From<Recorded> for Found {
    fn from(recorded: Recorded) -> Self {
        let Recorded { subject, version, id, schema } = recorded;
        Self { subject, version, id, schema }
    }
}

pub(super) async fn list(State(store): State<SchemaStore>, options: Options) -> Result<Answer<Vec<String>>, Refusal> {
    Ok(Answer(store.subjects(options.prefix(), options.deleted(), options.page()).await?))
}

pub(super) async fn versions(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    options: Options,
) -> Result<Answer<Vec<i32>>, Refusal> {
    Ok(Answer(store.versions(&subject, options.deleted()).await?))
}

pub(super) async fn version(
    State(store): State<SchemaStore>,
    OfVersion(subject, version): OfVersion,
    options: Options,
) -> Result<Answer<Found>, Refusal> {
    Ok(Answer(store.version(&subject, version, options.deleted()).await?.into()))
}

pub(super) async fn schema(
    State(store): State<SchemaStore>,
    OfVersion(subject, version): OfVersion,
    options: Options,
) -> Result<Text, Refusal> {
    Ok(Text(store.version(&subject, version, options.deleted()).await?.schema))
}

/// Nothing refers to anything here.
pub(super) async fn referenced_by(
    State(store): State<SchemaStore>,
    OfVersion(subject, version): OfVersion,
    options: Options,
) -> Result<Answer<[i32; 0]>, Refusal> {
    store.version(&subject, version, options.deleted()).await?;
    Ok(Answer([]))
}

pub(super) async fn register(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    Proposal(schema): Proposal,
) -> Result<Answer<Value>, Refusal> {
    Ok(Answer(json!({ "id": store.register(&subject, &schema).await?.id })))
}

pub(super) async fn lookup(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    options: Options,
    Proposal(schema): Proposal,
) -> Result<Answer<Found>, Refusal> {
    Ok(Answer(store.lookup(&subject, &schema, options.deleted()).await?.into()))
}

pub(super) async fn delete(
    State(store): State<SchemaStore>,
    OfSubject(subject): OfSubject,
    options: Options,
) -> Result<Answer<Vec<i32>>, Refusal> {
    Ok(Answer(store.delete_subject(&subject, options.permanent).await?))
}

pub(super) async fn delete_version(
    State(store): State<SchemaStore>,
    OfVersion(subject, version): OfVersion,
    options: Options,
) -> Result<Answer<i32>, Refusal> {
    Ok(Answer(store.delete_version(&subject, version, options.permanent).await?))
}
