//! What is answered: what became of a change, pages, and the errors of both.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use projections::{
    QueryError,
    catalog::ReadModels,
    runtime::{AnyProjection, ConsistencyToken, Reached},
    workspace::{ListCursor, Workspace},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{entity_tags, wrong};
use crate::{
    http::problem::Problem,
    owned::{self, Undone},
    store::Stores,
};

/// The header that says how far a read model has to be: told by changes, sent by readers.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// Entries of a page where nothing is said.
const DEFAULT: u32 = 20;
/// Most entries of a page.
const MAX: u32 = 100;

/// A change that is on record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Settled {
    /// What was changed.
    pub(super) id: String,
    /// Its version now; also the `ETag`.
    pub(super) version: u64,
    /// Whether it was changed before, by the same idempotency key.
    pub(super) repeated: bool,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<T> {
    /// The entries, the newest first.
    pub(super) items: Vec<T>,
    /// `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// How many there are on all pages together.
    pub(super) total: u64,
}

impl From<Undone> for Problem {
    fn from(undone: Undone) -> Self {
        let status = match &undone {
            Undone::Rejected { rule: "NOT_FOUND" | "DELETED", .. } => StatusCode::NOT_FOUND,
            Undone::Rejected { .. } | Undone::KeyReused | Undone::Conflict => StatusCode::CONFLICT,
            Undone::Unauthenticated => StatusCode::UNAUTHORIZED,
            Undone::Forbidden => StatusCode::FORBIDDEN,
            Undone::Outdated { .. } => StatusCode::PRECONDITION_FAILED,
            Undone::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let code = if let Undone::Rejected { rule, .. } = &undone { rule } else { undone.code() };
        let problem = Self::new(status, code, undone.to_string());
        if let Undone::Outdated { current } = undone { problem.at_version(current) } else { problem }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Undone::unavailable(&error).into()
    }
}

/// Nothing is there, or nothing that the caller may see.
pub(super) fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing with that id")
}

/// The answer to a change, with its `ETag` and a token by which readers see it.
pub(super) async fn settled(
    stores: &Stores,
    status: StatusCode,
    aggregate_type: &'static str,
    stream: &str,
    settled: Settled,
) -> Result<Response, Problem> {
    let token = owned::token_of(stores, aggregate_type, stream, settled.version).await?;
    let version = settled.version;
    let mut answer =
        if status == StatusCode::NO_CONTENT { status.into_response() } else { (status, Json(settled)).into_response() };
    tag(answer.headers_mut(), version);
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        answer.headers_mut().insert(CONSISTENCY_TOKEN, token);
    }
    Ok(answer)
}

/// The answer that shows something, with its `ETag`: nothing but that where the request says that its sender has it.
pub(super) fn shown(asked: &HeaderMap, version: u64, view: impl Serialize) -> Response {
    let mut answer =
        if has(asked, version) { StatusCode::NOT_MODIFIED.into_response() } else { Json(view).into_response() };
    tag(answer.headers_mut(), version);
    answer
}

/// Whether the sender of these headers has that version (RFC 9110, section 13.1.2).
fn has(asked: &HeaderMap, version: u64) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(entity_tags).any(|tag| tag == "*" || tag.parse() == Ok(version))
}

fn tag(headers: &mut HeaderMap, version: u64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
}

/// The size of a page.
pub(super) fn size(first: Option<u32>) -> Result<u32, Problem> {
    match first {
        None => Ok(DEFAULT),
        Some(first @ 1..=MAX) => Ok(first),
        Some(_) => Err(wrong("first", format!("first is not between 1 and {MAX}"))),
    }
}

/// The place behind which a page begins.
pub(super) fn place(after: Option<&str>) -> Result<Option<ListCursor>, Problem> {
    after.map(|after| after.parse().map_err(|_| wrong("after", "this is no cursor of ours"))).transpose()
}

/// What tenants own, at least as far as the request wants it.
pub(super) async fn workspace(stores: &Stores, headers: &HeaderMap) -> Result<Workspace, Problem> {
    let models = stores.live.now();
    reach(stores, headers, &models.workspace).await?;
    Ok(models.workspace.clone())
}

/// The read models, of which one is at least as far as the request wants it.
pub(super) async fn reach(stores: &Stores, headers: &HeaderMap, model: &dyn AnyProjection) -> Result<(), Problem> {
    let Some(token) = headers.get(CONSISTENCY_TOKEN) else { return Ok(()) };
    let token: Option<ConsistencyToken> = token.to_str().ok().and_then(|token| token.parse().ok());
    let token = token.ok_or_else(|| wrong("Consistency-Token", "this is no token of ours"))?;
    let generation = stores.live.generations().get(model.name()).copied();
    let generation = generation.unwrap_or(projections::runtime::Generation::FIRST);
    match stores.runtime.wait_for(model, generation, &token, stores.consistency_wait).await {
        Ok(Reached::Yes) => Ok(()),
        Ok(Reached::NotYet { .. }) => {
            let reason = "what you want to see is on record, but not there yet; try again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_YET", reason))
        }
        Ok(Reached::OtherLog) => Err(wrong("Consistency-Token", "the token is of a log that was replaced by a backup")),
        Err(error) => Err(Undone::unavailable(&error).into()),
    }
}

/// All read models, as readers see them now.
pub(super) fn models(stores: &Stores) -> std::sync::Arc<ReadModels> {
    stores.live.now()
}
