//! `/api/v1/opportunities`: federal contract opportunities, which are public.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::opportunity::OpportunityId;
use projections::{
    OpportunityCriteria, TimeRange,
    opportunity_analytics::{OpportunityCursor, OpportunityItem, OpportunitySelection},
    opportunity_views::OpportunityView,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestState,
    extractors::{ValidQuery, invalid_field},
    responses::{ListResponse, not_found, page_size, read_models, view_response, wait_for_consistency},
};
use crate::http::problem::Problem;

/// Longest search text, in characters.
const MAX_TEXT_CHARS: usize = 500;

/// Selects a page of opportunities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpportunityListParams {
    /// Entries on the page; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the previous page.
    after: Option<String>,
    /// Words that must all occur in title, solicitation number or text.
    #[param(max_length = 500)]
    text: Option<String>,
    /// Department code, e.g. `036`.
    agency: Option<String>,
    /// Prefix of the NAICS code.
    naics: Option<String>,
    /// Earliest publication time.
    posted_from: Option<DateTime<Utc>>,
    /// Latest publication time.
    posted_to: Option<DateTime<Utc>>,
}

/// An opportunity in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OpportunitySummary)]
pub(super) struct OpportunityListEntry {
    /// Department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Title of the current notice.
    title: String,
    /// Type of the current notice.
    notice_type: String,
    /// Code of the department.
    agency_code: String,
    /// Name of the department.
    agency_name: String,
    /// The agency's solicitation number.
    solicitation_number: Option<String>,
    /// Set-aside, if any.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Deadline for responses.
    response_deadline: Option<DateTime<Utc>>,
    /// Number of awards.
    awards: u64,
    /// Total of the known award amounts, in cents.
    awarded_cents: Option<i64>,
}

/// An opportunity in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityDetail {
    /// Department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes; also the `ETag`.
    version: u64,
    /// Status: `open`, `awarded`, `cancelled` or `archived`.
    status: String,
    /// Title of the current notice.
    title: String,
    /// The text of the current notice.
    description: Option<String>,
    /// Code of the department.
    agency_code: String,
    /// Name of the department.
    agency_name: String,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Deadline for responses.
    response_deadline: Option<DateTime<Utc>>,
    /// Number of awards.
    awards: usize,
    /// Total of the known award amounts, in cents.
    awarded_cents: Option<i64>,
}

impl From<OpportunityItem> for OpportunityListEntry {
    fn from(item: OpportunityItem) -> Self {
        Self {
            id: item.id,
            version: item.version,
            title: item.title,
            notice_type: item.notice_type,
            agency_code: item.agency_code,
            agency_name: item.agency_name,
            solicitation_number: item.solicitation_number,
            set_aside: item.set_aside,
            naics: item.naics,
            posted_at: item.posted_at,
            response_deadline: item.response_deadline,
            awards: item.awards,
            awarded_cents: item.awarded_cents,
        }
    }
}

impl From<OpportunityView> for OpportunityDetail {
    fn from(view: OpportunityView) -> Self {
        Self {
            id: view.id,
            version: view.version,
            status: view.status.name().to_owned(),
            title: view.details.title,
            description: view.details.description,
            agency_code: view.details.agency.code,
            agency_name: view.details.agency.name,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            response_deadline: view.details.response_deadline,
            awards: view.awards.len(),
            awarded_cents: view.awarded_cents,
        }
    }
}

/// Lists opportunities, the latest notice first.
#[utoipa::path(get, path = "/api/v1/opportunities", tag = "opportunities", params(OpportunityListParams), responses(
    (status = 200, body = ListResponse<OpportunityListEntry>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_opportunities(
    State(rest): State<Arc<RestState>>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<OpportunityListParams>,
) -> Result<Json<ListResponse<OpportunityListEntry>>, Problem> {
    let first = page_size(query.first)?;
    let cursor = |after: String| {
        after.parse::<OpportunityCursor>().map_err(|_| invalid_field("after", "it is not a valid cursor"))
    };
    let after = query.after.map(cursor).transpose()?;
    if query.text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        return Err(invalid_field("text", format!("text is longer than {MAX_TEXT_CHARS} characters")));
    }
    let single = |value: Option<String>| value.filter(|value| !value.trim().is_empty()).into_iter().collect();
    let filter = OpportunityCriteria {
        agencies: single(query.agency),
        naics: single(query.naics),
        posted: TimeRange { from: query.posted_from, to: query.posted_to },
        ..OpportunityCriteria::default()
    };
    let selection = OpportunitySelection { filter, text: query.text.filter(|text| !text.trim().is_empty()) };
    let models = read_models(&rest.app);
    wait_for_consistency(&rest.app, &headers, &models.analytics).await?;
    let page = models.analytics.list_opportunities(&selection, after.as_ref(), first).await?;
    let next = page.items.last().filter(|_| page.has_next).map(|item| item.cursor().to_string());
    Ok(Json(ListResponse { next, total: page.total, items: page.items.into_iter().map(Into::into).collect() }))
}

/// Returns an opportunity.
#[utoipa::path(get, path = "/api/v1/opportunities/{id}", tag = "opportunities",
    params(("id" = String, Path, description = "Department code and solicitation number, e.g. `097:SPE4A726RX326`")),
    responses((status = 200, body = OpportunityDetail), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn get_opportunity(
    State(rest): State<Arc<RestState>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = OpportunityId::parse(&id)
        .ok_or_else(|| invalid_field("id", "an opportunity's id has the form department:number"))?;
    let models = read_models(&rest.app);
    wait_for_consistency(&rest.app, &headers, &models.opportunity_views).await?;
    let view = models.opportunity_views.get(&id).await?.ok_or_else(not_found)?;
    Ok(view_response(&headers, view.version, OpportunityDetail::from(view)))
}
