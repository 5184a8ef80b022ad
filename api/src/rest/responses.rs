//! What is answered: what became of a change, pages, and the errors of both.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use projections::{
    QueryError,
    read_models::ReadModels,
    runtime::{AnyProjection, ConsistencyStatus, ConsistencyToken},
    tenant_views::{ListCursor, TenantViews},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::extractors::{entity_tags, invalid_field};
use crate::{
    app_context::AppContext,
    http::problem::Problem,
    tenant_commands::{self, CommandFailure},
};

/// The header that says how far a read model has to be: told by changes, sent by readers.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// Entries of a page where nothing is said.
const DEFAULT_PAGE_SIZE: u32 = 20;
/// Most entries of a page.
const MAX_PAGE_SIZE: u32 = 100;

/// A change that is on record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settled)]
pub(super) struct ChangeResponse {
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
#[schema(as = Listed)]
pub(super) struct ListResponse<T> {
    /// The entries, the newest first.
    pub(super) items: Vec<T>,
    /// `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// How many there are on all pages together.
    pub(super) total: u64,
}

impl From<CommandFailure> for Problem {
    fn from(undone: CommandFailure) -> Self {
        let status = match &undone {
            CommandFailure::Rejected { rule: "NOT_FOUND" | "DELETED", .. } => StatusCode::NOT_FOUND,
            CommandFailure::Rejected { .. } | CommandFailure::KeyReused | CommandFailure::Conflict => {
                StatusCode::CONFLICT
            }
            CommandFailure::Unauthenticated => StatusCode::UNAUTHORIZED,
            CommandFailure::Forbidden => StatusCode::FORBIDDEN,
            CommandFailure::Outdated { .. } => StatusCode::PRECONDITION_FAILED,
            CommandFailure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let code = if let CommandFailure::Rejected { rule, .. } = &undone { rule } else { undone.code() };
        let problem = Self::new(status, code, undone.to_string());
        if let CommandFailure::Outdated { current } = undone { problem.with_current_version(current) } else { problem }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        CommandFailure::unavailable(&error).into()
    }
}

/// Nothing is there, or nothing that the caller may see.
pub(super) fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing with that id")
}

/// The answer to a change, with its `ETag` and a token by which readers see it.
pub(super) async fn change_response(
    stores: &AppContext,
    status: StatusCode,
    aggregate_type: &'static str,
    stream: &str,
    settled: ChangeResponse,
) -> Result<Response, Problem> {
    let token = tenant_commands::consistency_token(stores, aggregate_type, stream, settled.version).await?;
    let version = settled.version;
    let mut answer =
        if status == StatusCode::NO_CONTENT { status.into_response() } else { (status, Json(settled)).into_response() };
    set_entity_tag(answer.headers_mut(), version);
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        answer.headers_mut().insert(CONSISTENCY_TOKEN, token);
    }
    Ok(answer)
}

/// The answer that shows something, with its `ETag`: nothing but that where the request says that its sender has it.
pub(super) fn view_response(asked: &HeaderMap, version: u64, view: impl Serialize) -> Response {
    let mut answer = if has_current_version(asked, version) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(view).into_response()
    };
    set_entity_tag(answer.headers_mut(), version);
    answer
}

/// Whether the sender of these headers has that version (RFC 9110, section 13.1.2).
fn has_current_version(asked: &HeaderMap, version: u64) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(entity_tags).any(|tag| tag == "*" || tag.parse() == Ok(version))
}

fn set_entity_tag(headers: &mut HeaderMap, version: u64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
}

/// The size of a page.
pub(super) fn page_size(first: Option<u32>) -> Result<u32, Problem> {
    match first {
        None => Ok(DEFAULT_PAGE_SIZE),
        Some(first @ 1..=MAX_PAGE_SIZE) => Ok(first),
        Some(_) => Err(invalid_field("first", format!("first is not between 1 and {MAX_PAGE_SIZE}"))),
    }
}

/// The place behind which a page begins.
pub(super) fn parse_cursor(after: Option<&str>) -> Result<Option<ListCursor>, Problem> {
    after.map(|after| after.parse().map_err(|_| invalid_field("after", "this is no cursor of ours"))).transpose()
}

/// What tenants own, at least as far as the request wants it.
pub(super) async fn consistent_tenant_views(stores: &AppContext, headers: &HeaderMap) -> Result<TenantViews, Problem> {
    let models = stores.read_models.current();
    wait_for_consistency(stores, headers, &models.tenant_views).await?;
    Ok(models.tenant_views.clone())
}

/// The read models, of which one is at least as far as the request wants it.
pub(super) async fn wait_for_consistency(
    stores: &AppContext,
    headers: &HeaderMap,
    model: &dyn AnyProjection,
) -> Result<(), Problem> {
    let Some(token) = headers.get(CONSISTENCY_TOKEN) else { return Ok(()) };
    let token: Option<ConsistencyToken> = token.to_str().ok().and_then(|token| token.parse().ok());
    let token = token.ok_or_else(|| invalid_field("Consistency-Token", "this is no token of ours"))?;
    let generation = stores.read_models.active_generations().get(model.name()).copied();
    let generation = generation.unwrap_or(projections::runtime::Generation::FIRST);
    match stores.runtime.wait_for_token(model, generation, &token, stores.consistency_wait).await {
        Ok(ConsistencyStatus::Reached) => Ok(()),
        Ok(ConsistencyStatus::NotYet { .. }) => {
            let reason = "what you want to see is on record, but not there yet; try again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_YET", reason))
        }
        Ok(ConsistencyStatus::OtherIncarnation) => {
            Err(invalid_field("Consistency-Token", "the token is of a log that was replaced by a backup"))
        }
        Err(error) => Err(CommandFailure::unavailable(&error).into()),
    }
}

/// All read models, as readers see them now.
pub(super) fn read_models(stores: &AppContext) -> std::sync::Arc<ReadModels> {
    stores.read_models.current()
}
