//! Responses: results of changes, pages of lists, and the problems of both.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use projections::{
    QueryError,
    read_models::ReadModels,
    runtime::{AnyProjection, ConsistencyToken},
    tenant_views::{ListCursor, TenantViews},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::extractors::{entity_tags, invalid_field};
use crate::{
    app_context::AppContext,
    consistency::{self, ConsistencyError},
    http::problem::Problem,
    pagination::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, check_page_size},
    tenant_commands::{self, CommandFailure},
};

/// Header with a consistency token: returned by changes, sent by reads that must see the change.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// Result of a recorded change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settled)]
pub(super) struct ChangeResponse {
    /// Id of the changed object.
    pub(super) id: String,
    /// Its new version; also the `ETag`.
    pub(super) version: u64,
    /// Whether the change had been made before under the same idempotency key.
    pub(super) repeated: bool,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Listed)]
pub(super) struct ListResponse<T> {
    /// The entries, the newest first.
    pub(super) items: Vec<T>,
    /// `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// Number of entries on all pages.
    pub(super) total: u64,
}

impl From<CommandFailure> for Problem {
    fn from(failure: CommandFailure) -> Self {
        let status = match &failure {
            CommandFailure::Rejected { is_missing: true, .. } => StatusCode::NOT_FOUND,
            CommandFailure::Rejected { .. } | CommandFailure::KeyReused | CommandFailure::Conflict => {
                StatusCode::CONFLICT
            }
            CommandFailure::Unauthenticated => StatusCode::UNAUTHORIZED,
            CommandFailure::Forbidden => StatusCode::FORBIDDEN,
            CommandFailure::Outdated { .. } => StatusCode::PRECONDITION_FAILED,
            CommandFailure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let code = if let CommandFailure::Rejected { rule, .. } = &failure { rule } else { failure.code() };
        let problem = Self::new(status, code, failure.to_string());
        if let CommandFailure::Outdated { current } = failure { problem.with_current_version(current) } else { problem }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        CommandFailure::unavailable(&error).into()
    }
}

/// The object does not exist, or the caller may not see it.
pub(super) fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no object with this id")
}

/// Responds to a change, with its `ETag` and a consistency token.
pub(super) async fn change_response(
    app: &AppContext,
    status: StatusCode,
    aggregate_type: &'static str,
    stream: &str,
    change: ChangeResponse,
) -> Result<Response, Problem> {
    let token = tenant_commands::consistency_token(app, aggregate_type, stream, change.version).await?;
    let version = change.version;
    let mut response =
        if status == StatusCode::NO_CONTENT { status.into_response() } else { (status, Json(change)).into_response() };
    set_entity_tag(response.headers_mut(), version);
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        response.headers_mut().insert(CONSISTENCY_TOKEN, token);
    }
    Ok(response)
}

/// The response with a view and its `ETag`; 304 where the client has the current version.
pub(super) fn view_response(headers: &HeaderMap, version: u64, view: impl Serialize) -> Response {
    let mut response = if has_current_version(headers, version) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(view).into_response()
    };
    set_entity_tag(response.headers_mut(), version);
    response
}

/// Whether `If-None-Match` names this version (RFC 9110, section 13.1.2).
fn has_current_version(headers: &HeaderMap, version: u64) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(entity_tags).any(|tag| tag == "*" || tag.parse() == Ok(version))
}

fn set_entity_tag(headers: &mut HeaderMap, version: u64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
}

/// The page size from `first`.
pub(super) fn page_size(first: Option<u32>) -> Result<u32, Problem> {
    check_page_size(first, DEFAULT_PAGE_SIZE)
        .map_err(|_| invalid_field("first", format!("first is not between 1 and {MAX_PAGE_SIZE}")))
}

/// The cursor after which a page begins.
pub(super) fn parse_cursor(after: Option<&str>) -> Result<Option<ListCursor>, Problem> {
    after.map(|after| after.parse().map_err(|_| invalid_field("after", "it is not a valid cursor"))).transpose()
}

/// The tenant views, once they contain what the request's consistency token demands.
pub(super) async fn consistent_tenant_views(app: &AppContext, headers: &HeaderMap) -> Result<TenantViews, Problem> {
    let models = app.read_models.current();
    wait_for_consistency(app, headers, &models.tenant_views).await?;
    Ok(models.tenant_views.clone())
}

/// Waits until a read model contains what the request's consistency token demands.
pub(super) async fn wait_for_consistency(
    app: &AppContext,
    headers: &HeaderMap,
    model: &dyn AnyProjection,
) -> Result<(), Problem> {
    let Some(token) = headers.get(CONSISTENCY_TOKEN) else { return Ok(()) };
    let token: Option<ConsistencyToken> = token.to_str().ok().and_then(|token| token.parse().ok());
    let token = token.ok_or_else(|| invalid_field("Consistency-Token", "it is not a valid consistency token"))?;
    let active = app.read_models.active_generations();
    let reached =
        consistency::wait_until_token_reached(&app.runtime, &active, model, &token, &app.consistency_wait).await;
    reached.map_err(|failure| match failure {
        ConsistencyError::Behind(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_YET", failure.to_string()),
        ConsistencyError::OtherIncarnation => invalid_field("Consistency-Token", failure.to_string()),
        ConsistencyError::Unavailable(source) => CommandFailure::unavailable(&source).into(),
    })
}

/// The active read models.
pub(super) fn read_models(app: &AppContext) -> std::sync::Arc<ReadModels> {
    app.read_models.current()
}
