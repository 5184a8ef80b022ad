//! `/schemas`: what a consumer asks that has met an id.

use axum::extract::State;
use eventstore::registry::SchemaStore;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Refusal,
    answer::{Answer, Text},
    query::{OfId, Options},
    subjects::Found,
};

#[derive(Serialize)]
pub(super) struct User {
    subject: String,
    version: i32,
}

/// Clients ask for it to see whether anybody is there.
pub(super) async fn root() -> Answer<Value> {
    Answer(json!({}))
}

/// All schemas that are registered, by subject and version.
pub(super) async fn list(State(store): State<SchemaStore>, options: Options) -> Result<Answer<Vec<Found>>, Refusal> {
    let found = store.recorded(options.prefix(), options.deleted(), options.latest_only, options.page()).await?;
    Ok(Answer(found.into_iter().map(Into::into).collect()))
}

/// There is one context, which has no name.
pub(super) async fn contexts() -> Answer<[&'static str; 1]> {
    Answer(["."])
}

/// Which registry this is.
pub(super) async fn cluster() -> Answer<Value> {
    Answer(json!({ "id": "medhub", "scope": { "path": [], "clusters": { "schema-registry-cluster": "medhub" } } }))
}

/// Which program serves it.
pub(super) async fn product() -> Answer<Value> {
    Answer(json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" }))
}

pub(super) async fn types() -> Answer<[&'static str; 1]> {
    Answer(["AVRO"])
}

pub(super) async fn by_id(
    State(store): State<SchemaStore>,
    OfId(id): OfId,
    options: Options,
) -> Result<Answer<Value>, Refusal> {
    let mut answer = json!({ "schema": store.schema(id).await? });
    if options.fetch_max_id {
        answer["maxId"] = store.last_id().await?.into();
    }
    Ok(Answer(answer))
}

pub(super) async fn text(State(store): State<SchemaStore>, OfId(id): OfId) -> Result<Text, Refusal> {
    Ok(Text(store.schema(id).await?))
}

pub(super) async fn subjects(
    State(store): State<SchemaStore>,
    OfId(id): OfId,
    options: Options,
) -> Result<Answer<Vec<String>>, Refusal> {
    let mut subjects: Vec<_> =
        store.users(id, options.deleted()).await?.into_iter().map(|(subject, _)| subject).collect();
    // They come sorted; a version that came again after a deletion is there twice.
    subjects.dedup();
    Ok(Answer(subjects))
}

pub(super) async fn versions(
    State(store): State<SchemaStore>,
    OfId(id): OfId,
    options: Options,
) -> Result<Answer<Vec<User>>, Refusal> {
    let users = store.users(id, options.deleted()).await?;
    Ok(Answer(users.into_iter().map(|(subject, version)| User { subject, version }).collect()))
}
