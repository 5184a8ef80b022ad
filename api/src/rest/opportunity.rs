//! `/api/v1/opportunities`: federal contract opportunities, which everybody may read.

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

/// Longest text that is searched for, in characters.
const MAX_TEXT_CHARS: usize = 500;

/// Which page of which opportunities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpportunityListParams {
    /// How many; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Words that must all occur in title, number or text.
    #[param(max_length = 500)]
    text: Option<String>,
    /// Only of the department with this code, e.g. `036`.
    agency: Option<String>,
    /// Only with NAICS codes that begin so.
    naics: Option<String>,
    /// Only those that were published from then on.
    posted_from: Option<DateTime<Utc>>,
    /// Only those that were published until then.
    posted_to: Option<DateTime<Utc>>,
}

/// An opportunity in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OpportunitySummary)]
pub(super) struct OpportunityListEntry {
    /// Department code and solicitation number.
    id: String,
    /// How many changes are on record.
    version: u64,
    /// Its title.
    title: String,
    /// The kind of the current notice.
    notice_type: String,
    /// The department's code.
    agency_code: String,
    /// The department's name.
    agency_name: String,
    /// The agency's own number.
    solicitation_number: Option<String>,
    /// For whom it is set aside.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// How many awards are on record.
    awards: u64,
    /// What they are worth together, in cents, where amounts are known.
    awarded_cents: Option<i64>,
}

/// An opportunity in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityDetail {
    /// Department code and solicitation number.
    id: String,
    /// How many changes are on record; also the `ETag`.
    version: u64,
    /// How far it has come: `open`, `awarded`, `cancelled` or `archived`.
    status: String,
    /// Its title.
    title: String,
    /// The text of the current notice.
    description: Option<String>,
    /// The department's code.
    agency_code: String,
    /// The department's name.
    agency_name: String,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// How many awards are on record.
    awards: usize,
    /// What they are worth together, in cents, where amounts are known.
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
            title: view.facts.title,
            description: view.facts.description,
            agency_code: view.facts.agency.code,
            agency_name: view.facts.agency.name,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            response_deadline: view.facts.response_deadline,
            awards: view.awards.len(),
            awarded_cents: view.awarded_cents,
        }
    }
}

/// Opportunities, the newest notice first.
#[utoipa::path(get, path = "/api/v1/opportunities", tag = "opportunities", params(OpportunityListParams), responses(
    (status = 200, body = ListResponse<OpportunityListEntry>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<RestState>>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<OpportunityListParams>,
) -> Result<Json<ListResponse<OpportunityListEntry>>, Problem> {
    let first = page_size(query.first)?;
    let cursor = |after: String| {
        after.parse::<OpportunityCursor>().map_err(|_| invalid_field("after", "this is no cursor of ours"))
    };
    let after = query.after.map(cursor).transpose()?;
    if query.text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        return Err(invalid_field("text", format!("text is longer than {MAX_TEXT_CHARS} characters")));
    }
    let one = |value: Option<String>| value.filter(|value| !value.trim().is_empty()).into_iter().collect();
    let filter = OpportunityCriteria {
        agencies: one(query.agency),
        naics: one(query.naics),
        posted: TimeRange { from: query.posted_from, to: query.posted_to },
        ..OpportunityCriteria::default()
    };
    let selection = OpportunitySelection { filter, text: query.text.filter(|text| !text.trim().is_empty()) };
    let models = read_models(&rest.stores);
    wait_for_consistency(&rest.stores, &headers, &models.analytics).await?;
    let page = models.analytics.list_opportunities(&selection, after.as_ref(), first).await?;
    let next = page.items.last().filter(|_| page.has_next).map(|item| item.cursor().to_string());
    Ok(Json(ListResponse { next, total: page.total, items: page.items.into_iter().map(Into::into).collect() }))
}

/// One opportunity.
#[utoipa::path(get, operation_id = "one", path = "/api/v1/opportunities/{id}", tag = "opportunities",
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
    let models = read_models(&rest.stores);
    wait_for_consistency(&rest.stores, &headers, &models.opportunity_views).await?;
    let view = models.opportunity_views.get(&id).await?.ok_or_else(not_found)?;
    Ok(view_response(&headers, view.version, OpportunityDetail::from(view)))
}
