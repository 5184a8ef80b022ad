//! `/analytics/events`: what one user did, or what was done on one page. Served from the response cache in Redis while
//! no newer events exist, else from ClickHouse.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use projections::{
    opportunity_analytics::{OpportunityAnalytics, VisitAction},
    response_cache::{CacheLookup, VisitActionsQuery},
    runtime::ConsistencyToken,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestRequest,
    extractors::{ValidQuery, invalid_field},
    responses::{page_size, read_models, wait_for_consistency},
};
use crate::{
    app_context::AppContext,
    consistency,
    http::problem::Problem,
    tenant_commands::{self, CommandFailure},
};

/// Whether a response comes from the cache: `hit` or `miss`.
const CACHE_HEADER: HeaderName = HeaderName::from_static("x-cache");

/// Maximum length of a user id or page URL, in characters.
const MAX_NAME_CHARS: usize = 2_048;

/// Selects the events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventListParams {
    /// The user who did it; this or `page_url` is required.
    user_id: Option<String>,
    /// The page on which it was done.
    page_url: Option<String>,
    /// Number of events, the latest ones; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
}

/// A view or click.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventView {
    /// Id of the event.
    event_id: String,
    /// `view` or `click`.
    kind: String,
    /// The opportunity that it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    opportunity_id: String,
    /// The user who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    user_id: String,
    /// URL of the page.
    page_url: String,
    /// Where the clicked link leads.
    #[serde(skip_serializing_if = "String::is_empty")]
    target_url: String,
    /// When it happened.
    at: DateTime<Utc>,
}

/// Events, the latest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventList {
    /// The events.
    events: Vec<EventView>,
}

impl From<VisitAction> for EventView {
    fn from(action: VisitAction) -> Self {
        let VisitAction { event_id, kind, opportunity_id, user_id, page_url, target_url, at, .. } = action;
        Self { event_id: event_id.to_string(), kind, opportunity_id, user_id, page_url, target_url, at }
    }
}

/// Lists what a user of the caller's company did, or what was done on a page by its users.
#[utoipa::path(get, path = "/analytics/events", tag = "analytics", params(EventListParams), responses(
    (status = 200, body = EventList), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_events(
    RestRequest { rest, principal, headers }: RestRequest,
    ValidQuery(query): ValidQuery<EventListParams>,
) -> Result<Response, Problem> {
    // Operators read the events of the public tenant, all others the events of their company.
    let tenant = if principal.is_operator { principal.tenant() } else { tenant_commands::readable_tenant(&principal)? };
    let check_name = |field: &str, value: Option<String>| match value.filter(|value| !value.is_empty()) {
        Some(value) if value.chars().count() > MAX_NAME_CHARS => Err(invalid_field(field, "it is too long")),
        value => Ok(value),
    };
    let (user_id, page_url) = (check_name("user_id", query.user_id)?, check_name("page_url", query.page_url)?);
    if user_id.is_none() && page_url.is_none() {
        return Err(invalid_field("user_id", "give a user, a page or both"));
    }
    let visit_query =
        VisitActionsQuery { tenant: tenant.to_string(), user_id, page_url, first: page_size(query.first)? };
    let models = read_models(&rest.app);
    wait_for_consistency(&rest.app, &headers, &models.analytics).await?;
    // An unavailable cache does not fail the request.
    let lookup = models.response_cache.look_up(&visit_query).await;
    let since = match lookup {
        Ok(CacheLookup::Hit(body)) => return Ok(cached_response(body, "hit")),
        Ok(CacheLookup::Miss { position }) => Some(position),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "response cache unavailable");
            None
        }
    };
    // Checked before the query: its result then contains everything up to this position.
    let is_complete = match since {
        Some(since) => is_caught_up(&rest.app, &models.analytics, since).await,
        None => false,
    };
    let VisitActionsQuery { user_id, page_url, first, .. } = &visit_query;
    let actions = models
        .analytics
        .list_visit_actions(&visit_query.tenant, user_id.as_deref(), page_url.as_deref(), *first)
        .await?;
    let events = EventList { events: actions.into_iter().map(EventView::from).collect() };
    let body = serde_json::to_string(&events).map_err(|error| Problem::from(CommandFailure::unavailable(&error)))?;
    if let Some(since) = since.filter(|_| is_complete)
        && let Err(error) = models.response_cache.store_response(&visit_query, since, &body).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot store a response in the cache");
    }
    Ok(cached_response(body, "miss"))
}

/// Whether the read model contains everything up to a position.
async fn is_caught_up(app: &AppContext, analytics: &OpportunityAnalytics, position: u64) -> bool {
    let Ok(incarnation) = app.runtime.log().incarnation().await else { return false };
    let token = ConsistencyToken { incarnation, position, stream: None };
    let active = app.read_models.active_generations();
    consistency::check_token(&app.runtime, &active, analytics, &token).await.is_ok()
}

fn cached_response(body: String, cache: &'static str) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_HEADER, HeaderValue::from_static(cache));
    response
}
