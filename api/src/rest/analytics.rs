//! `/analytics/events`: what one user did, or what was done on one page. From Redis while nothing is new, else from
//! ClickHouse.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use projections::{
    opportunity_analytics::{OpportunityAnalytics, VisitAction},
    response_cache::{CacheLookup, VisitActionsQuery},
    runtime::{ConsistencyStatus, ConsistencyToken, Generation, Projection},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestState,
    extractors::{ValidQuery, invalid_field},
    responses::{page_size, read_models, wait_for_consistency},
};
use crate::{
    app_context::AppContext,
    auth::Principal,
    http::problem::Problem,
    tenant_commands::{self, CommandFailure},
};

/// Tells where an answer comes from: `hit` or `miss`.
const CACHE_HEADER: HeaderName = HeaderName::from_static("x-cache");

/// Longest name of a user or a page, in characters.
const MAX_NAME_CHARS: usize = 2_048;

/// Whose events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventListParams {
    /// Who did it; this or `page_url` is needed.
    user_id: Option<String>,
    /// The page that it was done on.
    page_url: Option<String>,
    /// How many, the last ones; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
}

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventView {
    /// Its id.
    event_id: String,
    /// `view` or `click`.
    kind: String,
    /// The opportunity that it was about.
    #[serde(skip_serializing_if = "String::is_empty")]
    opportunity_id: String,
    /// Who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    user_id: String,
    /// The page.
    page_url: String,
    /// Where a clicked link leads.
    #[serde(skip_serializing_if = "String::is_empty")]
    target_url: String,
    /// When.
    at: DateTime<Utc>,
}

/// What was done, the last first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventList {
    /// The events.
    events: Vec<EventView>,
}

impl From<VisitAction> for EventView {
    fn from(act: VisitAction) -> Self {
        let VisitAction { event_id, kind, opportunity_id, user_id, page_url, target_url, at, .. } = act;
        Self { event_id: event_id.to_string(), kind, opportunity_id, user_id, page_url, target_url, at }
    }
}

/// What a user of the caller's company did, or what was done on a page by its people.
#[utoipa::path(get, operation_id = "events", path = "/analytics/events", tag = "analytics", params(EventListParams), responses(
    (status = 200, body = EventList), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_events(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<EventListParams>,
) -> Result<Response, Problem> {
    // Operators read what is nobody's; everybody else what is their company's.
    let tenant = if identity.is_operator { identity.tenant() } else { tenant_commands::readable_tenant(&identity)? };
    let given = |field: &str, value: Option<String>| match value.filter(|value| !value.is_empty()) {
        Some(value) if value.chars().count() > MAX_NAME_CHARS => Err(invalid_field(field, "it is too long")),
        value => Ok(value),
    };
    let (user_id, page_url) = (given("user_id", query.user_id)?, given("page_url", query.page_url)?);
    if user_id.is_none() && page_url.is_none() {
        return Err(invalid_field("user_id", "name a user, a page or both"));
    }
    let question = VisitActionsQuery { tenant: tenant.to_string(), user_id, page_url, first: page_size(query.first)? };
    let models = read_models(&rest.stores);
    wait_for_consistency(&rest.stores, &headers, &models.analytics).await?;
    // A cache that is away is no reason not to answer.
    let standing = models.response_cache.look_up(&question).await;
    let since = match standing {
        Ok(CacheLookup::Hit(answer)) => return Ok(cached_response(answer, "hit")),
        Ok(CacheLookup::Miss { position }) => Some(position),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "answers are not kept");
            None
        }
    };
    // Looked at before the question is put: what is answered then has everything up to there.
    let is_complete = match since {
        Some(since) => is_caught_up(&rest.stores, &models.analytics, since).await,
        None => false,
    };
    let VisitActionsQuery { user_id, page_url, first, .. } = &question;
    let acts =
        models.analytics.list_visit_actions(&question.tenant, user_id.as_deref(), page_url.as_deref(), *first).await?;
    let events = EventList { events: acts.into_iter().map(EventView::from).collect() };
    let answer = serde_json::to_string(&events).map_err(|error| Problem::from(CommandFailure::unavailable(&error)))?;
    if let Some(since) = since.filter(|_| is_complete)
        && let Err(error) = models.response_cache.store_response(&question, since, &answer).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "an answer is not kept");
    }
    Ok(cached_response(answer, "miss"))
}

/// Whether everything up to a position is in the read model.
async fn is_caught_up(stores: &AppContext, analytics: &OpportunityAnalytics, position: u64) -> bool {
    let generation =
        stores.read_models.active_generations().get(OpportunityAnalytics::NAME).copied().unwrap_or(Generation::FIRST);
    let Ok(incarnation) = stores.runtime.log().incarnation().await else { return false };
    let token = ConsistencyToken { incarnation, position, stream: None };
    let reached = stores.runtime.wait_for_token(analytics, generation, &token, std::time::Duration::ZERO).await;
    matches!(reached, Ok(ConsistencyStatus::Reached))
}

fn cached_response(answer: String, cache: &'static str) -> Response {
    let mut response = (StatusCode::OK, answer).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_HEADER, HeaderValue::from_static(cache));
    response
}
